/** What clients do to a connection at random: what they send, whether they read, and how they leave. */
import fc from 'fast-check';
import { START } from '../fixtures/http2/case.ts';
import * as http2 from '../support/http2-frames.ts';
import { frame, TEXT } from '../support/wire.ts';

export interface Visit {
  /** Each is written at once. */
  readonly parts: readonly Buffer[];
  /** ms behind each part. */
  readonly pause: number;
  readonly reads: boolean;
  /** ms that it stays when all is written. */
  readonly stay: number;
  /** ms between a FIN and the end, in which it reads; undefined = it sends none. */
  readonly fin: number | undefined;
  readonly end: 'reset' | 'destroy';
}

const HOST = 'web.test';
const NOWHERE = 'nowhere.test';
const KEY = 'dGhlIHNhbXBsZSBub25jZQ==';
const GREETING = frame(TEXT, 'hello', { mask: true });
const GARBAGE = Buffer.from('garbage\r\n\r\n');

function visits(sent: fc.Arbitrary<Buffer>): fc.Arbitrary<Visit> {
  return fc
    .record({
      sent,
      cut: fc.option(fc.nat()),
      pause: fc.nat({ max: 20 }),
      reads: fc.constantFrom(true, true, false),
      stay: fc.oneof(fc.constant(0), fc.nat({ max: 250 })),
      fin: fc.option(fc.nat({ max: 200 }), { nil: undefined, freq: 2 }),
      end: fc.constantFrom('reset', 'destroy'),
    })
    .map(({ sent: all, cut, ...rest }) => {
      const at = cut === null ? all.length : cut % all.length;
      return { ...rest, parts: [all.subarray(0, at), all.subarray(at)].filter((part) => part.length > 0) };
    });
}

function request(start: string, host = HOST, lines = '', body = ''): Buffer {
  return Buffer.from(`${start} HTTP/1.1\r\nHost: ${host}\r\n${lines}\r\n${body}`, 'latin1');
}

const GET = ['/small', '/big', '/slow'].map((path) => request(`GET ${path}`));
const UPGRADE = request(
  'GET /ws',
  HOST,
  `Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${KEY}\r\n`,
);

/** Requests behind each other on a connection of HTTP/1.1. */
export const HTTP1_VISITS = visits(
  fc
    .array(
      fc.oneof(
        { weight: 3, arbitrary: fc.constantFrom(...GET) },
        { weight: 1, arbitrary: fc.integer({ min: 1, max: 50 }).map((n) => repeated(request('GET /', NOWHERE), n)) },
        { weight: 1, arbitrary: fc.constantFrom(UPGRADE, Buffer.concat([UPGRADE, GREETING])) },
        { weight: 1, arbitrary: fc.constant(request('POST /read', HOST, 'Content-Length: 5\r\n', 'abcde')) },
        {
          weight: 2,
          arbitrary: fc.constantFrom(
            request('POST /small', HOST, 'Content-Length: 100000\r\n', 'y'.repeat(50_000)),
            request('POST /read', HOST, 'Transfer-Encoding: chunked\r\n', '5\r\nabc'),
            Buffer.from('GET / HT'),
            GARBAGE,
          ),
        },
      ),
      { minLength: 1, maxLength: 7 },
    )
    .map((all) => Buffer.concat(all)),
);

function repeated(bytes: Buffer, times: number): Buffer {
  return Buffer.concat(Array.from({ length: times }, () => bytes));
}

/** Frames of a stream; `opens`: of a new one, else of the last. */
interface Step {
  readonly opens: boolean;
  readonly frames: (id: number) => Buffer;
}

const opening = (frames: Step['frames']): Step => ({ opens: true, frames });
const following = (frames: Step['frames']): Step => ({ opens: false, frames });

function head(method: string, path: string, authority = HOST, more: http2.Fields = []): http2.Fields {
  return [[':method', method], [':scheme', 'http'], [':authority', authority], [':path', path], ...more];
}

const CONNECT = head('CONNECT', '/ws', HOST, [
  [':protocol', 'websocket'],
  ['sec-websocket-version', '13'],
]);
const LONG = head('POST', '/small', HOST, [['content-length', '100000']]);
const open = { end: false };

const WHOLE = [
  ...['/small', '/big', '/slow'].map((path) => opening((id) => http2.headers(id, head('GET', path)))),
  opening((id) => http2.headers(id, head('GET', '/', NOWHERE))),
  opening((id) => Buffer.concat([http2.headers(id, head('POST', '/read'), open), http2.data(id, 'abcde')])),
];
const UPGRADES = [
  opening((id) => http2.headers(id, CONNECT, open)),
  opening((id) => Buffer.concat([http2.headers(id, CONNECT, open), http2.data(id, GREETING, false)])),
];
const BETWEEN = [
  following((id) => http2.reset(id)),
  following((id) => http2.data(id, '', true)),
  following((id) => http2.windowUpdate(id, 1_000_000)),
  following(() => http2.windowUpdate(0, 1_000_000)),
  following(() => http2.settings([4, 1_000_000])),
  following(() => http2.ping()),
];
const BROKEN = [
  opening((id) =>
    Buffer.concat([http2.headers(id, LONG, open), repeated(http2.data(id, 'y'.repeat(10_000), false), 5)]),
  ),
  opening((id) => http2.headers(id, LONG, open).subarray(0, -5)),
  following((id) => http2.data(id, 'y'.repeat(100)).subarray(0, 50)),
  following(() => http2.goaway(0)),
  following(() => GARBAGE),
];

/** Streams beside each other on a connection of HTTP/2. */
export const HTTP2_VISITS = visits(
  fc
    .array(
      fc.oneof(
        { weight: 4, arbitrary: fc.constantFrom(...WHOLE) },
        { weight: 2, arbitrary: fc.constantFrom(...UPGRADES) },
        { weight: 3, arbitrary: fc.constantFrom(...BETWEEN) },
        { weight: 1, arbitrary: fc.constantFrom(...BROKEN) },
      ),
      { minLength: 1, maxLength: 12 },
    )
    .map((steps) => {
      let id = -1;
      const frames = steps.map((step) => step.frames((id = step.opens ? id + 2 : Math.max(id, 1))));
      return Buffer.concat([START, http2.SETTINGS_ACK, ...frames]);
    }),
);
