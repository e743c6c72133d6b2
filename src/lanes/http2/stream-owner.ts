/** Who has a stream of a client's connection, and what it hears of it. */
import type { Member } from '../../io/members.ts';
import type { Forwarding } from '../forwarding.ts';
import type { OutConnection } from './stream-out.ts';

export interface StreamOwner extends Member {
  /** A range of a buffer that changes afterwards. */
  onData(buffer: Buffer, start: number, end: number): void;
  /** Lines that each end in CR LF. */
  onTrailers(lines: string): void;
  /** The client has finished sending. */
  onEnd(): void;
  /** The client has given the stream up, or the connection has ended. */
  onReset(): void;
  /** There is room in the client's windows, or its socket has room again. */
  onWritable(): void;
  /** What was read has been parsed. */
  settle(): void;
  checkDeadline(now: number): void;
}

/** The connection of a stream, as far as every owner needs it. */
export interface OwnerConnection extends OutConnection {
  readonly forwarding: Forwarding;
  /** Its client has given the stream up before its request was begun. */
  countAborted(): void;
  /** The owner is done with its stream. */
  release(owner: StreamOwner): void;
}
