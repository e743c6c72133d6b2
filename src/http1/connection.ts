/** Reading the Connection field (RFC 9110, 7.6.1). */
import { listItems } from './fields.ts';

export const CLOSE = 1;
export const KEEP_ALIVE = 2;
export const UPGRADE = 4;

/** Named by Connection as a matter of course and dropped anyway. */
const USUAL = new Set(['te', 'keep-alive', 'upgrade', 'http2-settings', 'proxy-connection', 'connection']);

/** Returns the flags of one Connection value and adds the other names to `listed`, lower case. */
export function readConnection(value: string, listed: string[]): number {
  if (value === 'keep-alive') return KEEP_ALIVE;
  if (value === 'close') return CLOSE;
  let flags = 0;
  for (const item of listItems(value)) {
    if (item === 'close') flags |= CLOSE;
    else if (item === 'keep-alive') flags |= KEEP_ALIVE;
    else if (item === 'upgrade') flags |= UPGRADE;
    else if (!USUAL.has(item)) listed.push(item);
  }
  return flags;
}

const NEVER_IN_REQUEST = new Set(['content-length', 'transfer-encoding', 'host', 'cookie', 'authorization']);
const OURS = new Set(['x-real-ip', 'x-request-id', 'forwarded']);

/**
 * True when dropping these fields would change who the request is for, how it is framed or what it may do: a client that
 * could have them dropped could have us lie to the backend.
 */
export function namesRequestField(listed: readonly string[]): boolean {
  for (const item of listed) {
    const name = item.replaceAll('_', '-');
    if (NEVER_IN_REQUEST.has(name) || OURS.has(name)) return true;
    if (name.startsWith('x-forwarded-') || name.startsWith('ssl-client-')) return true;
  }
  return false;
}

/** The same for a backend's response: framing and sessions. */
export function namesResponseField(listed: readonly string[]): boolean {
  return listed.includes('content-length') || listed.includes('transfer-encoding') || listed.includes('set-cookie');
}
