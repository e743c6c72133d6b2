/** One stream (RFC 9113, 5.1): what of it each side has ended, its windows, and the head that came on it. Objects are reused. */
import { RequestHead } from '../http1/request-head.ts';
import { ResponseHead } from '../http1/response-head.ts';

export class Stream {
  /** 0 = not in use. */
  id = 0;
  /** The peer has sent END_STREAM: its message is complete. */
  remoteEnded = false;
  /** We have. */
  localEnded = false;
  /** Whatever the lane keeps with the stream. */
  owner: unknown;
  /** Names in the head that must not be indexed further on (RFC 7541, 6.2.3). */
  never: readonly string[] = [];

  // For the connection only.
  /** What we may send; a change of SETTINGS_INITIAL_WINDOW_SIZE can make it negative. */
  sendWindow = 0;
  /** What the peer may send. */
  recvWindow = 0;
  /** Bytes handed to the lane that it has not consumed. */
  held = 0;
  /** Bytes consumed that the peer has not been told of. */
  credit = 0;
  /** Bytes of DATA still to come by Content-Length; -1 = any number. */
  expected = -1;
  /** The lane has more to send than the windows let through. */
  blocked = false;
  /** DATA is thrown away. */
  deaf = false;
  /** The peer's head is there: DATA may follow. */
  headSeen = false;
  /** Of an extended CONNECT: no trailers (8.5). */
  tunnel = false;

  begin(id: number, sendWindow: number, recvWindow: number): void {
    this.id = id;
    this.remoteEnded = this.localEnded = this.blocked = this.deaf = this.tunnel = this.headSeen = false;
    this.owner = undefined;
    this.never = [];
    this.sendWindow = sendWindow;
    this.recvWindow = recvWindow;
    this.held = this.credit = 0;
    this.expected = -1;
  }
}

/** A client's request. */
export class ServerStream extends Stream {
  readonly head = new RequestHead();
}

/** Our request to a server. */
export class ClientStream extends Stream {
  /** Interim heads, then the final one. */
  readonly head = new ResponseHead();
  method = '';
}
