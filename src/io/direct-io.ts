/**
 * Reads and writes past the machinery of Node's streams, straight at a socket's handle: two fifths of what Node itself
 * costs a request. It is private API (`_handle` and its methods, `stream_wrap`), so there is a trial of it at start
 * (`provesDirectIo`), and the ordinary way for where that fails.
 */
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';

export interface WriteRequest {
  oncomplete?: (status: number) => void;
}

/** Of a TCP or TLS connection. */
export interface Handle {
  onread: (this: Handle, chunk?: ArrayBuffer) => void;
  /** From now on what is read goes there. */
  useUserBuffer(buffer: Buffer): void;
  /** 0, or the number of an error of the system. */
  writeLatin1String(request: WriteRequest, text: string): number;
  /** The same. */
  writeBuffer(request: WriteRequest, bytes: Uint8Array): number;
  /** Bytes that the kernel has not taken yet. */
  readonly writeQueueSize: number;
}

/** A socket has one, unless it is closed; other streams have none. */
export type Handled = Duplex & { readonly _handle?: Handle | null; readonly connecting?: boolean };

export interface DirectIo {
  readonly WriteWrap: new () => WriteRequest;
  /** Of the last read or write of any handle. */
  readonly streamBaseState: Readonly<Record<number, number>>;
  readonly kReadBytesOrError: number;
  readonly kLastWriteWasAsync: number;
  /** A socket that has a buffer there starts and stops its handle when it is resumed and paused. */
  readonly kBuffer: symbol;
}

let used: DirectIo | undefined;

/** undefined = not here, or not to be used: everything goes through the streams. */
export function directIo(): DirectIo | undefined {
  return used;
}

/** False = it is not used from now on, as was wished or since there is none. */
export function useDirectIo(wished: boolean): boolean {
  used = wished ? find() : undefined;
  return used !== undefined;
}

function find(): DirectIo | undefined {
  try {
    const internals = process as unknown as { binding(name: string): Partial<DirectIo> };
    const { WriteWrap, streamBaseState, kReadBytesOrError, kLastWriteWasAsync } = internals.binding('stream_wrap');
    const kBuffer = Object.getOwnPropertySymbols(new Socket()).find(({ description }) => description === 'kBuffer');
    if (WriteWrap === undefined || streamBaseState === undefined || kBuffer === undefined) return undefined;
    if (kReadBytesOrError === undefined || kLastWriteWasAsync === undefined) return undefined;
    return { WriteWrap, streamBaseState, kReadBytesOrError, kLastWriteWasAsync, kBuffer };
  } catch {
    return undefined;
  }
}
