/** By which texts other products' cookies name an endpoint. */
import { hostPort } from '../../model/pool.ts';
import { parseIp } from '../../model/ip.ts';
import type { LiveEndpoint, LivePool } from '../../model/live.ts';
import type { ForeignProduct } from '../../model/sticky-policy.ts';
import { fnv64, md5, sha256, xxh64 } from './digests.ts';

/** How ingress-nginx calls a pool: `namespace-service-port`, the port as the Ingress has it. */
export function nginxBackends({ namespace, service, port, portName }: LivePool): string[] {
  const names = [`${namespace}-${service}-${port}`];
  if (portName !== undefined) names.push(`${namespace}-${service}-${portName}`);
  return names;
}

/** The second part of ingress-nginx's values. */
export function nginxBackendKey(backend: string): string {
  return md5(md5(backend) + backend);
}

/** The product's own name of an endpoint. */
export function serverName(product: ForeignProduct, { address, port }: LiveEndpoint): string {
  return product === 'Traefik' ? `http://${hostPort(address, port)}` : hostPort(address, port);
}

/** The texts by which the product's cookies stand for a server, given its name. */
export function namesOfServer(product: ForeignProduct, name: string, pool: LivePool): string[] {
  switch (product) {
    case 'IngressNginx':
      return nginxBackends(pool).map((backend) => md5(backend + name));
    case 'Traefik': {
      // The address was hashed once before it became the name in older versions.
      const once = fnv64(name);
      return [sha256(name).slice(0, 16), name, once, fnv64(once)];
    }
    case 'Tengine':
      return [md5(name), name];
    case 'HAProxy':
    case 'F5':
      return [name];
  }
}

/** The texts that are made from an endpoint's address and not from its name. */
export function namesOfAddress(product: ForeignProduct, { address, port }: LiveEndpoint): string[] {
  if (product === 'HAProxy') return haproxyKeys.map((key) => haproxyDynamic(key, address, port));
  return product === 'F5' ? f5Names(address, port) : [];
}

/** `dynamic-cookie-key` as haproxy-ingress and HAProxy's own controller have it unless they are told otherwise. */
const haproxyKeys = ['Ingress', 'ohph7OoGhong'];

/** `cookie … dynamic`: XXH64 over key, address and port. */
function haproxyDynamic(key: string, address: string, port: number): string {
  const bytes = addressBytes(address);
  const buffer = Buffer.alloc(key.length + bytes.length + 4);
  buffer.write(key, 0, 'latin1');
  buffer.set(bytes, key.length);
  buffer.writeUInt32BE(port, key.length + bytes.length);
  return xxh64(buffer);
}

/** F5 article K6917; the route domain is whatever stands between `rd` and `o`, so those names are made from 0. */
function f5Names(address: string, port: number): string[] {
  const bytes = addressBytes(address);
  const hex = Buffer.from(bytes).toString('hex');
  const swapped = ((port & 0xff) << 8) | (port >> 8);
  if (bytes.length === 16) return [`vi${hex}.${swapped}`, `rd0o${hex}o${port}`];
  return [`${Buffer.from(bytes).readUInt32LE()}.${swapped}.0000`, `rd0o00000000000000000000ffff${hex}o${port}`];
}

/** The same name of any route domain. */
export function withoutRouteDomain(id: string): string {
  return id.startsWith('rd') ? id.replace(/^rd\d{1,5}o/, 'rd0o') : id;
}

/** In network order: 4 or 16. */
function addressBytes(address: string): Uint8Array {
  const words = parseIp(address)?.words ?? [];
  const bytes = Buffer.alloc(words.length * 4);
  for (const [i, word] of words.entries()) bytes.writeUInt32BE(word, i * 4);
  return bytes;
}
