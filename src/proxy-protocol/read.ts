/** Reads the PROXY protocol header that a connection begins with, of either version. */
import type { Ends } from '../model/ends.ts';
import { LINE_START, readLine } from './line.ts';
import { readBlock, SIGNATURE } from './block.ts';

export interface ProxyHeader {
  /** Bytes of the header; what is behind them is the client's. */
  readonly length: number;
  /** undefined = it says nothing of a client that is spoken for over TCP (a health check, an unknown family): the connection is its sender's own. */
  readonly ends: Ends | undefined;
}

export type HeaderRead = ProxyHeader | 'partial' | 'malformed';

/** @param bytes all that has come so far; they may hold more than the header */
export function readHeader(bytes: Buffer): HeaderRead {
  if (mayStart(bytes, LINE_START)) return readLine(bytes);
  if (mayStart(bytes, SIGNATURE)) return readBlock(bytes);
  return 'malformed';
}

function mayStart(bytes: Buffer, start: Buffer): boolean {
  const common = Math.min(bytes.length, start.length);
  return bytes.compare(start, 0, common, 0, common) === 0;
}
