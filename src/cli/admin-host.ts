/** Where commands reach a controller's admin server. */
import type { HostPort } from '../config/config.ts';
import { hostPortText } from './ports.ts';

/** Host and port as in a URL; a wildcard is this machine. */
export function adminHost(address: HostPort): string {
  const wildcard = address.host === '::' || address.host === '0.0.0.0';
  return hostPortText(wildcard ? { ...address, host: '127.0.0.1' } : address);
}
