/** One request on its way to an endpoint and the response back, in whatever protocol the endpoint speaks. */
import type { RequestHead } from '../http1/request-head.ts';
import type { ResponseSink } from '../http1/response-parser.ts';

/** What a request needs of the way to its endpoint; its response comes to a `ResponseSink`. */
export interface RequestWire {
  /** @param text the head as HTTP/1.1 has it */
  begin(head: RequestHead, text: string): void;
  /** A range of a buffer that may change after `flush`. */
  body(buffer: Buffer, start: number, end: number): void;
  /** `trailers`: lines that each end in CR LF. */
  end(trailers: string): void;
  /** Sends what the turn has brought. False = there is more to send than there should be: wait for the drain. */
  flush(): boolean;
  /** More of the response is wanted. */
  resume(): void;
  /** The response cannot be used: nothing more of it comes to the sink. */
  detach(): void;
  /** The response is complete. `reusable`: so is the request, and nothing came that was not asked for. */
  finish(reusable: boolean): void;
}

/** Who waits for a connection. */
export interface DialHandler {
  onUpstreamConnected(): void;
  /** No byte of the request was sent: another endpoint may be tried. */
  onUpstreamDialFailed(failure: DialFailure): void;
}

/**
 * Why a connection could not be made; `tls`: the endpoint is there, but TLS with it failed; `protocol`: it does not speak the
 * one that it shall; `local`: for want of something of ours (descriptors, ports), not the endpoint's fault.
 */
export type DialFailure = 'refused' | 'timeout' | 'unreachable' | 'tls' | 'protocol' | 'local';

/** Whose request is on a stream of a connection that others share. */
export interface StreamHandler extends DialHandler, ResponseSink {
  /** What was read has come to the sink. False = no more of it for now. `done`: the response is complete. */
  onUpstreamRead(done: boolean): boolean;
  onUpstreamDrain(): void;
  /** The stream is gone; never called after `finish` or `destroy`. `unseen`: the endpoint says that it has not looked at it. */
  onUpstreamClosed(unseen: boolean): void;
}

/** The way to an endpoint that a request has got. */
export interface UpstreamLink {
  readonly connected: boolean;
  /** Whether an earlier request was answered over it. */
  readonly reused: boolean;
  /** Gives it back unused. */
  giveBack(): void;
  /** Gives it up; its handler hears nothing more. */
  destroy(): void;
}
