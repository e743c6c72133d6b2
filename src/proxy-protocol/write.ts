/** Writes the PROXY protocol header that a connection to an endpoint begins with. */
import type { Ends, ProxyVersion } from '../model/ends.ts';
import { blockBytes } from './block.ts';
import { lineText } from './line.ts';

/** In latin1. `ends` unknown: the connection is said to be our own. */
export function headerText(version: ProxyVersion, ends: Ends | undefined): string {
  return version === 'v1' ? lineText(ends) : blockBytes(ends).toString('latin1');
}
