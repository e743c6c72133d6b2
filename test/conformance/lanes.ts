/**
 * The lanes as the conformance cases see them: a small interface that every lane registers with. What a lane cannot do is
 * read from the table that the dispatcher reads, so that no case is skipped without a reason that stands there.
 */
import { expect, test } from 'vitest';
import { CANNOT, LANES } from '../../src/lanes/capabilities.ts';
import type { Incapability, LaneName, WayName } from '../../src/lanes/capabilities.ts';
import { answerOf, Http2Client, messageOf } from '../support/http2-client.ts';
import { acceptWebSocket, closeWithWires, RawClient, values, webSocketKey } from '../support/wire.ts';
import type { BackendExchange, Headers, Message } from '../support/wire.ts';
import { forCalls, overHttp2 } from './endpoints.ts';

export type Capability = Incapability['cannot'];

/** A request as every lane can say it. */
export interface Question {
  /** Default: GET. */
  readonly method?: string;
  /** Default: `/`. */
  readonly target?: string;
  readonly host: string;
  readonly headers?: Headers;
  /** latin1; framed by its length unless `trailers` or `chunks` ask for more. */
  readonly body?: string;
  /** The body in parts, of unknown length. */
  readonly chunks?: readonly string[];
  readonly trailers?: Headers;
  /** HTTP/1.0 instead of 1.1. */
  readonly http10?: boolean;
}

export interface Answer extends Message {
  readonly status: number;
  readonly body: string;
  readonly trailers: Headers;
  readonly interim: readonly Message[];
}

/** One connection of a client. */
export interface LaneClient {
  ask(question: Question): void;
  /** The answer to the next question not answered yet. */
  answer(): Promise<Answer>;
  /** Vanishes. */
  reset(): void;
  /** Waits until the connection is closed by the other side. */
  closed(): Promise<'end' | 'reset'>;
}

/** Where the proxy listens. */
export interface Ports {
  readonly http: number;
  readonly https: number;
}

/** A lane over TCP or over TLS. */
export interface Lane {
  readonly name: string;
  readonly lane: LaneName;
  /** What else is on its way and has gaps of its own. */
  readonly over?: WayName;
  readonly secure: boolean;
  /** Status of the answer of a backend that takes the request. */
  readonly success: number;
  /** @param from a loopback address to come from; `before`: latin1 that comes before anything else, a handshake included */
  connect(ports: Ports, from?: string, before?: string): Promise<LaneClient>;
  /** How the client sees a refusal of ours. */
  refused(status: number): Partial<Answer>;
  /** The backend takes the request; `lines` are header lines, each ending in CR LF. */
  accept(exchange: BackendExchange, lines?: string): void;
  /** For lanes whose bytes are HTTP/1.x messages one after another: a connection as bytes. */
  readonly wire?: Connect;
}

type Connect = (ports: Ports, from?: string, before?: string) => Promise<RawClient>;

/** HTTP/1.x on a connection of bytes. */
class Http1Client implements LaneClient {
  readonly wire: RawClient;
  readonly #asked: string[] = [];

  constructor(wire: RawClient) {
    this.wire = wire;
  }

  ask(question: Question): void {
    this.#asked.push(question.method ?? 'GET');
    this.wire.send(requestBytes(question));
  }

  async answer(): Promise<Answer> {
    return await this.wire.response(this.#asked.shift());
  }

  reset(): void {
    this.wire.reset();
  }

  async closed(): Promise<'end' | 'reset'> {
    return await this.wire.closed();
  }
}

/** Requests as streams of one connection of HTTP/2. */
class StreamsClient implements LaneClient {
  readonly #client: Http2Client;
  readonly #answers: Promise<Answer>[] = [];

  constructor(client: Http2Client) {
    this.#client = client;
  }

  ask(question: Question): void {
    // Around a value there may be no blanks (RFC 9113, 8.2.1).
    const headers = (question.headers ?? []).map(
      ([name, value]) => [name, value.replace(/^[ \t]+|[ \t]+$/g, '')] as const,
    );
    const answer = this.send(this.#client, { ...question, headers });
    // It may be asked for late.
    answer.catch(() => undefined);
    this.#answers.push(answer);
  }

  async answer(): Promise<Answer> {
    const answer = this.#answers.shift();
    if (answer === undefined) throw new Error('nothing was asked');
    return await answer;
  }

  reset(): void {
    this.#client.reset();
  }

  async closed(): Promise<'end' | 'reset'> {
    return await this.#client.closed();
  }

  protected async send(client: Http2Client, question: Question & { readonly headers: Headers }): Promise<Answer> {
    const { method = 'GET', target = '/', host } = question;
    return await client.ask({ ...question, method, target, authority: host });
  }
}

/** The question as a WebSocket handshake of HTTP/2. */
class TunnelsClient extends StreamsClient {
  protected override async send(
    client: Http2Client,
    question: Question & { readonly headers: Headers },
  ): Promise<Answer> {
    const headers: Headers = [['Sec-WebSocket-Version', '13'], ...question.headers];
    const stream = client.openWebSocket(question.target ?? '/', question.host, headers);
    // Once it is open there is no end of the answer to wait for.
    const opened = new Promise<Answer>((resolve) => {
      stream.on('response', ({ ':status': status }, _flags, raw: string[]) => {
        if (status === 200) resolve({ ...messageOf(raw), body: '', trailers: [], interim: [] });
      });
    });
    return await Promise.race([opened, answerOf(stream)]);
  }
}

/** The question as a call of gRPC. */
class CallsClient extends StreamsClient {
  protected override async send(
    client: Http2Client,
    question: Question & { readonly headers: Headers },
  ): Promise<Answer> {
    const headers: Headers = [['te', 'trailers'], ['content-type', 'application/grpc'], ...question.headers];
    const answer = await super.send(client, { body: EMPTY_MESSAGE, ...question, headers, method: 'POST' });
    const status = values({ ...answer, headers: [...answer.headers, ...answer.trailers] }, 'grpc-status');
    // What is no answer of gRPC has another status (http-grpc-status-mapping.md).
    if (answer.status === 200 && status.length !== 1) throw new Error(`an answer without a status: ${answer.head}`);
    return answer;
  }
}

/** Not compressed, of no length. */
const EMPTY_MESSAGE = '\0\0\0\0\0';

/** Of gRPC, by ours; others are UNKNOWN. */
const CALL_STATUSES: Readonly<Record<number, string>> = { 404: '12', 502: '14', 503: '14' };

const HANDSHAKE: Headers = [
  ['Connection', 'Upgrade'],
  ['Upgrade', 'websocket'],
  ['Sec-WebSocket-Version', '13'],
];

/** The question as a WebSocket handshake. */
class UpgradeClient extends Http1Client {
  override ask(question: Question): void {
    const headers: Headers = [...HANDSHAKE, ['Sec-WebSocket-Key', webSocketKey()], ...(question.headers ?? [])];
    super.ask({ ...question, headers });
  }
}

function connection(secure: boolean): Connect {
  return async ({ http, https }, from, before) =>
    await RawClient.connect(secure ? https : http, { secure, from, before });
}

export async function http2Client(
  { http, https }: Ports,
  secure: boolean,
  from?: string,
  before?: string,
): Promise<Http2Client> {
  const client = await Http2Client.connect(secure ? https : http, { secure, from, before });
  closeWithWires(client);
  return client;
}

type Driver = Omit<Lane, 'name' | 'lane' | 'over' | 'secure'>;

const refused = (status: number): Partial<Answer> => ({ status });

/** Every lane of the table, by name: one without an entry here does not compile. */
const DRIVERS: { readonly [Name in LaneName]: (connect: Connect, secure: boolean) => Driver } = {
  http1: (connect) => ({
    success: 200,
    refused,
    connect: async (ports, from, before) => new Http1Client(await connect(ports, from, before)),
    wire: connect,
    accept: (exchange, lines = '') => {
      exchange.answer(200, lines, 'ok');
    },
  }),
  http2: (_connect, secure) => ({
    success: 200,
    refused,
    connect: async (ports, from, before) => new StreamsClient(await http2Client(ports, secure, from, before)),
    accept: (exchange, lines = '') => {
      exchange.answer(200, lines, 'ok');
    },
  }),
  upgrade: (connect) => ({
    success: 101,
    refused,
    connect: async (ports, from, before) => new UpgradeClient(await connect(ports, from, before)),
    accept: (exchange, lines = '') => {
      acceptWebSocket(exchange, lines);
    },
  }),
};

/** WebSocket over HTTP/2: the upgrade lane by another way. */
const TUNNELS: Lane = {
  name: 'upgrade over HTTP/2',
  lane: 'upgrade',
  over: 'http2',
  secure: true,
  ...DRIVERS.upgrade(connection(true), true),
  success: 200,
  connect: async (ports, from, before) => new TunnelsClient(await http2Client(ports, true, from, before)),
};

/** Calls of gRPC: the HTTP/2 lane by those who ask nothing else. */
const CALLS: Lane = {
  name: 'gRPC over TLS',
  lane: 'http2',
  over: 'grpc',
  secure: true,
  success: 200,
  refused: (status) => ({
    status: 200,
    headers: expect.arrayContaining([['grpc-status', CALL_STATUSES[status] ?? '2']]) as Headers,
  }),
  connect: async (ports, from, before) => new CallsClient(await http2Client(ports, true, from, before)),
  accept: (exchange, lines = '') => {
    const head = `HTTP/1.1 200 OK\r\nContent-Type: application/grpc\r\n${lines}Transfer-Encoding: chunked\r\n\r\n`;
    exchange.send(`${head}5\r\n${EMPTY_MESSAGE}\r\n0\r\ngrpc-status: 0\r\n\r\n`);
  },
};

const NAMED: readonly Lane[] = [false, true].flatMap((secure) =>
  LANES.map((lane) => {
    const name = secure ? `${lane} over TLS` : lane;
    return { name, lane, secure, ...DRIVERS[lane](connection(secure), secure) };
  }),
);

/** With endpoints of HTTP/2 each once: whether its clients speak TLS makes no difference to those. */
const TO_HTTP2 = ['http1', 'http2 over TLS', 'upgrade'];

export const ALL_LANES: readonly Lane[] = lanesHere();

function lanesHere(): readonly Lane[] {
  if (forCalls()) return [CALLS];
  return overHttp2() ? NAMED.filter(({ name }) => TO_HTTP2.includes(name)) : [...NAMED, TUNNELS];
}

/** Why these cannot be done by a lane, or with the endpoints of this file; undefined = they all can. */
function reasonToSkip({ lane, over }: Pick<Lane, 'lane' | 'over'>, needs: readonly Capability[]): string | undefined {
  const ways = [lane, over, ...(overHttp2() && lane !== 'upgrade' ? ['http2Endpoint'] : [])];
  return CANNOT.find(({ on, cannot }) => ways.includes(on) && needs.includes(cannot))?.because;
}

/** `test`, or what skips it and says why. */
export function testWith(
  lane: Pick<Lane, 'lane' | 'over'>,
  needs: readonly Capability[],
  name: string,
  run: () => Promise<void>,
): void {
  const reason = reasonToSkip(lane, needs);
  if (reason === undefined) test(name, run);
  else test(name, ({ skip }) => skip(reason));
}

export interface WireLane extends Omit<Lane, 'connect'> {
  readonly connect: Connect;
}

/** Lanes that read HTTP/1.x messages one after another: the cases about syntax and framing are theirs. */
export const WIRE_LANES: readonly WireLane[] = ALL_LANES.filter(
  (lane) => reasonToSkip(lane, ['http10', 'pipelining']) === undefined,
).map((lane) => {
  if (lane.wire === undefined) throw new Error(`lane ${lane.name} speaks HTTP/1.x and gives no connection of bytes`);
  return { ...lane, connect: lane.wire };
});

/** A request in HTTP/1.x. */
export function requestBytes(question: Question): string {
  const { method = 'GET', target = '/', host, headers = [], body, chunks, trailers, http10 } = question;
  let text = `${method} ${target} HTTP/1.${http10 === true ? 0 : 1}\r\nHost: ${host}\r\n`;
  for (const [name, value] of headers) text += `${name}: ${value}\r\n`;
  if (chunks === undefined && trailers === undefined) {
    return body === undefined ? `${text}\r\n` : `${text}Content-Length: ${body.length}\r\n\r\n${body}`;
  }
  text += 'Transfer-Encoding: chunked\r\n\r\n';
  for (const part of chunks ?? [body ?? '']) text += part === '' ? '' : `${part.length.toString(16)}\r\n${part}\r\n`;
  text += '0\r\n';
  for (const [name, value] of trailers ?? []) text += `${name}: ${value}\r\n`;
  return `${text}\r\n`;
}
