/** The client's side of a connection (RFC 9113): requests to a backend that speaks HTTP/2 (GRPC, H2C). */
import { Connection } from './connection.ts';
import type { ConnectionEvents } from './connection.ts';
import { MAX_31, SETTING } from './constants.ts';
import { CODE, ERRORS } from './error.ts';
import type { Http2Limits } from './limits.ts';
import { ResponseReader } from './response-reader.ts';
import { ClientStream } from './stream.ts';

/** For the lane: `stream.head` is the `ResponseHead` of HTTP/1, as `ResponseWriter.head` and `responseText` take it. */
export interface ClientEvents extends ConnectionEvents<ClientStream> {
  /** A 1xx. */
  onInterim(stream: ClientStream): void;
  /** The final head. `stream.remoteEnded`: there is no body. */
  onHead(stream: ClientStream): void;
}

export class ClientConnection extends Connection<ClientStream> {
  readonly #reader: ResponseReader;
  readonly #events: ClientEvents;
  #nextId = 1;
  #goingAway = false;

  constructor(events: ClientEvents, limits: Http2Limits, clock: () => number) {
    super('client', events, limits, clock);
    this.#events = events;
    this.#reader = new ResponseReader(limits);
    this.writer.preface();
    this.hello([[SETTING.enablePush, 0]]);
  }

  /** Another request may be sent now. */
  get free(): boolean {
    return !this.over && !this.#goingAway && this.#nextId < MAX_31 && this.open.size < this.peer.maxStreams;
  }

  /** Its SETTINGS have come: the backend speaks HTTP/2. */
  get peerKnown(): boolean {
    return this.peer.known;
  }

  /** Requests that the backend takes at once. */
  get maxStreams(): number {
    return this.peer.maxStreams;
  }

  /** The backend takes extended CONNECT; known with its SETTINGS. */
  get takesExtendedConnect(): boolean {
    return this.peer.connectProtocol;
  }

  /**
   * Sends the head of a request; only when `free`.
   * @param text an HTTP/1.1 head, empty line included
   * @param end there is no body
   * @param protocol of an extended CONNECT (RFC 8441), empty = none
   * @param never names that must not be indexed (`ServerStream.never`)
   */
  request(
    text: string,
    scheme: 'http' | 'https',
    end: boolean,
    protocol = '',
    never: readonly string[] = [],
  ): ClientStream {
    const stream = this.takeStream(this.#nextId);
    this.open.add(stream);
    this.#nextId += 2;
    stream.method = text.slice(0, text.indexOf(' '));
    stream.tunnel = protocol !== '';
    this.encoder.request(text, scheme, protocol, never);
    this.writeBlock(stream, end);
    return stream;
  }

  override onGoaway(lastId: number, code: number): void {
    this.#goingAway = true;
    for (const stream of this.open.values()) if (stream.id > lastId) this.giveUp(stream, CODE.REFUSED_STREAM);
    super.onGoaway(lastId, code);
  }

  protected isIdle(id: number): boolean {
    return id % 2 === 0 || id >= this.#nextId;
  }

  protected newStream(): ClientStream {
    return new ClientStream();
  }

  protected onOtherBlock(id: number, _endStream: boolean, buffer: Buffer, start: number, end: number): void {
    if (this.isIdle(id)) this.fail(ERRORS.idleStream);
    else this.onLateBlock(id, buffer, start, end);
  }

  protected onStreamBlock(stream: ClientStream, endStream: boolean, buffer: Buffer, start: number, end: number): void {
    if (stream.headSeen) return this.readTrailers(stream, !stream.tunnel, endStream, buffer, start, end);
    const { head, id } = stream;
    this.#reader.begin(head);
    if (!this.decode(buffer, start, end, this.#reader)) return;
    const fault = this.#reader.finish(endStream, stream.method);
    if (fault !== undefined) return this.onFrameError(id, fault);
    if (head.status < 200) return this.#events.onInterim(stream);
    stream.headSeen = true;
    if (this.#reader.never.length > 0) stream.never = [...this.#reader.never];
    if (!stream.tunnel) stream.expected = head.bodyless ? 0 : head.contentLength;
    stream.remoteEnded = endStream;
    this.#events.onHead(stream);
    if (endStream && this.open.get(id) === stream) this.endRemote(stream);
  }
}
