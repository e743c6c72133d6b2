/** Refuses API requests whose Host is a foreign name: a web page whose name was rebound to our address must not read the API. */
import { isIP } from 'node:net';

const SERVICE_NAME = /^[a-z0-9-]+\.[a-z0-9-]+\.svc(\.cluster\.local)?$/;

/** `hosts` are the addresses that also count as ours: the one bound and the one the client has connected to. */
export function isLocalHost(authority: string | undefined, hosts: readonly string[]): boolean {
  const host = hostOf(authority ?? '');
  if (host === undefined) return false;
  if (host === 'localhost' || host.endsWith('.localhost')) return true;
  // Names of Services: no public name ends so, hence no web page can be at one.
  if (SERVICE_NAME.test(host)) return true;
  if (isIP(host) === 0) return false;
  return isLoopback(host) || hosts.some((ours) => unmapped(ours) === host);
}

/** Host without port and brackets, in lower case; undefined = not a valid Host. */
function hostOf(authority: string): string | undefined {
  const match = /^(?:\[([0-9a-f:.]+)\]|([a-z0-9.-]+))(?::\d{1,5})?$/i.exec(authority);
  const host = (match?.[1] ?? match?.[2])?.toLowerCase().replace(/\.$/, '');
  return host === undefined ? undefined : unmapped(host);
}

/** An IPv4-mapped IPv6 address is the IPv4 address (RFC 4291 section 2.5.5.2). */
function unmapped(address: string): string {
  return /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1] ?? address.toLowerCase();
}

export function isLoopback(address: string): boolean {
  const plain = unmapped(address);
  return plain === '::1' || (isIP(plain) === 4 && plain.startsWith('127.'));
}
