/** A connection on its way from the lane that read the request to the upgrade lane. */
import type { Socket } from 'node:net';
import type { RequestHead } from '../http1/request-head.ts';
import type { ReadHandler } from '../io/adopt.ts';
import type { Forwarding } from './forwarding.ts';

export interface UpgradeRequest {
  readonly head: RequestHead;
  /** Paused: nothing is read until the new owner resumes it. */
  readonly socket: Socket;
  readonly forwarding: Forwarding;
  /** What came behind the head. */
  readonly first: Buffer;
  /** From now on reads go to `reader`. */
  takeReads(reader: ReadHandler): void;
}
