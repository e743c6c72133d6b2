/** A connection on its way from the lane that read the request to the upgrade lane. */
import type { RequestHead } from '../http1/request-head.ts';
import type { ReadHandler } from '../io/take-reads.ts';
import type { Beneath } from '../io/socket-stream.ts';
import type { ClientOut } from './client-out.ts';
import type { Forwarding } from './forwarding.ts';

export interface UpgradeRequest {
  readonly head: RequestHead;
  /** What is read goes to whoever calls `takeReads`, which is to be done at once. */
  readonly socket: Beneath;
  /** For answers that are no 101. */
  readonly out: ClientOut;
  readonly forwarding: Forwarding;
  /** What came behind the head. */
  readonly first: Buffer;
  /** From now on reads go to `reader`. */
  takeReads(reader: ReadHandler): void;
}
