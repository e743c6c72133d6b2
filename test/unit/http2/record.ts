/** Drives a connection as a lane does, overwriting each read buffer as soon as it has been handed in, and writes down what happens. */
import { CODE } from '../../../src/http2/error.ts';
import type { Http2Error } from '../../../src/http2/error.ts';
import { ClientConnection } from '../../../src/http2/client.ts';
import type { ClientEvents } from '../../../src/http2/client.ts';
import { DEFAULT_LIMITS } from '../../../src/http2/limits.ts';
import type { Http2Limits } from '../../../src/http2/limits.ts';
import { ServerConnection } from '../../../src/http2/server.ts';
import type { ServerEvents } from '../../../src/http2/server.ts';
import type { ClientStream, ServerStream, Stream } from '../../../src/http2/stream.ts';
import { describeFrame, PREFACE, readFrames } from '../../support/http2-frames.ts';
import type { ReadFrame } from '../../support/http2-frames.ts';

const CODE_NAMES = Object.keys(CODE);

function visible(text: string): string {
  return text.replaceAll('\r', '\\r').replaceAll('\n', '\\n');
}

/** What both sides' recordings have in common. */
class Log {
  readonly events: string[] = [];
  readonly sent: Buffer[] = [];
  /** Streams in the order of their heads. */
  readonly streams: Stream[] = [];
  #bodyOf = 0;

  add(event: string): void {
    this.events.push(event);
    this.#bodyOf = 0;
  }

  /** Adjacent ranges are one event: how they were split says nothing. */
  body(id: number, text: string): void {
    const last = this.events.length - 1;
    if (this.#bodyOf === id) this.events[last] += visible(text);
    else this.events.push(`${id} data ${visible(text)}`);
    this.#bodyOf = id;
  }

  reset(id: number, code: number, fault: Http2Error | undefined): void {
    this.add(`${id} reset ${CODE_NAMES[code] ?? code}${fault === undefined ? '' : ` ${fault.name}`}`);
  }
}

export interface Recorded<C> {
  readonly connection: C;
  readonly events: string[];
  readonly streams: (C extends ServerConnection ? ServerStream : ClientStream)[];
  /** Hands bytes in, in one piece. */
  read(wire: Buffer): void;
  /** Takes what was sent since the last time, the first SETTINGS and WINDOW_UPDATE left out. */
  frames(): ReadFrame[];
  /** Events, then frames sent. */
  summary(): string;
}

function recorded<C extends ServerConnection | ClientConnection>(connection: C, log: Log): Recorded<C> {
  let first = true;
  const frames = (): ReadFrame[] => {
    connection.flush();
    let wire = Buffer.concat(log.sent.splice(0));
    if (first && wire.subarray(0, 3).toString() === 'PRI') wire = wire.subarray(PREFACE.length);
    const all = readFrames(wire);
    const from = first ? 2 : 0;
    first = false;
    return all.slice(from);
  };
  return {
    connection,
    events: log.events,
    streams: log.streams as Recorded<C>['streams'],
    read(wire) {
      const buffer = Buffer.from(wire);
      connection.execute(buffer, 0, buffer.length);
      buffer.fill(0x5a);
    },
    frames,
    summary: () => [...log.events, ...frames().map(describeFrame)].join(' | '),
  };
}

function common<S extends Stream>(log: Log, connection: () => ServerConnection | ClientConnection) {
  return {
    take: () => Buffer.alloc(20_000, 0x5a),
    onWrite: (block: Buffer, length: number) => log.sent.push(block.subarray(0, length)),
    onData(stream: S, buffer: Buffer, start: number, end: number) {
      log.body(stream.id, buffer.toString('latin1', start, end));
      connection().consumed(stream as never, end - start);
    },
    onTrailers: (stream: S, lines: string) => log.add(`${stream.id} trailers ${visible(lines)}`),
    onEnd: (stream: S) => log.add(`${stream.id} end`),
    onReset: (stream: S, code: number, fault: Http2Error | undefined) => log.reset(stream.id, code, fault),
    onStrayFault: () => undefined,
    onWritable: (stream: S) => log.add(`${stream.id} writable`),
    onGoaway: (lastId: number, code: number) => log.add(`goaway ${lastId} ${CODE_NAMES[code] ?? code}`),
    onError: (fault: Http2Error) => log.add(`error ${fault.name}`),
  };
}

export interface RecordOptions {
  readonly limits?: Partial<Http2Limits>;
  readonly clock?: () => number;
  readonly events?: Partial<ServerEvents>;
}

export function recordServer({ limits, clock = () => 0, events = {} }: RecordOptions = {}): Recorded<ServerConnection> {
  const log = new Log();
  const connection: ServerConnection = new ServerConnection(
    {
      ...common<ServerStream>(log, () => connection),
      onHead(stream, protocol) {
        log.streams.push(stream);
        log.add(`${stream.id} ${stream.head.method} ${stream.head.target}${protocol === '' ? '' : ` ${protocol}`}`);
      },
      onRefused(stream, error) {
        log.streams.push(stream);
        log.add(`${stream.id} refused ${error.status} ${error.code}`);
      },
      ...events,
    },
    { ...DEFAULT_LIMITS, ...limits },
    clock,
  );
  return recorded(connection, log);
}

export function recordClient(
  limits: Partial<Http2Limits> = {},
  events: Partial<ClientEvents> = {},
): Recorded<ClientConnection> {
  const log = new Log();
  const connection: ClientConnection = new ClientConnection(
    {
      ...common<ClientStream>(log, () => connection),
      onInterim: (stream) => log.add(`${stream.id} interim ${stream.head.status}`),
      onHead(stream) {
        log.streams.push(stream);
        log.add(`${stream.id} ${stream.head.status}`);
      },
      ...events,
    },
    { ...DEFAULT_LIMITS, ...limits },
    () => 0,
  );
  return recorded(connection, log);
}
