/**
 * Reads and writes past the machinery of Node's streams, straight at a socket's handle: two fifths of what Node itself
 * costs a request. It is private API (`_handle` and its methods, `onconnection`, `stream_wrap`), so there is a trial of it
 * at start (`provesDirectIo`), and the ordinary way for where that fails.
 */
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';

/** What libuv reads at the end, on every system; other numbers below 0 are errors. */
export const UV_EOF = -4095;

export interface WriteRequest {
  oncomplete?: (status: number) => void;
  /** Bytes that must not go away before they are written. */
  buffer?: Uint8Array;
}

export interface ShutdownRequest {
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

export interface Address {
  address: string | undefined;
  family: string | undefined;
  port: number | undefined;
}

export interface TcpHandle extends Handle {
  readStart(): number;
  readStop(): number;
  setNoDelay(on: boolean): number;
  shutdown(request: ShutdownRequest): number;
  close(closed: () => void): void;
  /** The same, by RST. Not while a shutdown is under way: it fails, and nothing closes the handle any more. */
  reset(closed: () => void): number;
  getpeername(into: Address): number;
  getsockname(into: Address): number;
}

export interface ServerHandle {
  /** `accepted` is missing where `status` is the number of an error of the system. */
  onconnection?: (this: ServerHandle, status: number, accepted?: TcpHandle) => void;
}

/** A socket has one, unless it is closed; other streams have none. */
export type Handled = Duplex & { readonly _handle?: Handle | null; readonly connecting?: boolean };

export interface DirectIo {
  readonly WriteWrap: new () => WriteRequest;
  readonly ShutdownWrap: new () => ShutdownRequest;
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
    const { WriteWrap, ShutdownWrap, streamBaseState, kReadBytesOrError, kLastWriteWasAsync } =
      internals.binding('stream_wrap');
    const kBuffer = Object.getOwnPropertySymbols(new Socket()).find(({ description }) => description === 'kBuffer');
    if (WriteWrap === undefined || ShutdownWrap === undefined || streamBaseState === undefined) return undefined;
    if (kReadBytesOrError === undefined || kLastWriteWasAsync === undefined || kBuffer === undefined) return undefined;
    return { WriteWrap, ShutdownWrap, streamBaseState, kReadBytesOrError, kLastWriteWasAsync, kBuffer };
  } catch {
    return undefined;
  }
}
