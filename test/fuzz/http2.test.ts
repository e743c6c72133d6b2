/** Random frames, bytes and splits: connections never throw, never depend on how bytes arrive, and keep to their memory. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ABUSE_INTERVAL_MS } from '../../src/http2/limits.ts';
import { get, GET, post, START } from '../fixtures/http2/case.ts';
import { CLIENT_CASES } from '../fixtures/http2/client.ts';
import { FRAME_CASES } from '../fixtures/http2/frames.ts';
import { HPACK_CASES } from '../fixtures/http2/hpack.ts';
import { MESSAGE_CASES } from '../fixtures/http2/messages.ts';
import { STREAM_CASES } from '../fixtures/http2/streams.ts';
import {
  bytes,
  data,
  frame,
  headers,
  paddedData,
  reset,
  settings,
  string,
  T,
  windowUpdate,
} from '../support/http2-frames.ts';
import { recordClient, recordServer } from '../unit/http2/record.ts';

const BYTES = fc.uint8Array({ maxLength: 40 }).map((array) => Buffer.from(array));
const ID = fc.constantFrom(0, 1, 1, 3, 5, 2, 0x7fff_ffff);

/** Frames that mean something, and frames that mean anything. */
const FRAME = fc.oneof(
  ID.map((id) => get(id)),
  ID.map((id) => post(id)),
  fc.tuple(ID, fc.nat(30)).map(([id, cut]) => headers(id, GET, { end: false }, cut)),
  fc.tuple(ID, fc.string({ maxLength: 20 }), fc.boolean()).map(([id, text, end]) => data(id, text, end)),
  fc.tuple(ID, fc.nat(20)).map(([id, pad]) => paddedData(id, 'x', pad, false)),
  fc.tuple(ID, fc.nat()).map(([id, by]) => windowUpdate(id, by)),
  fc.tuple(fc.nat(10), fc.nat()).map(([id, value]) => settings([id, value])),
  ID.map((id) => reset(id)),
  ID.map((id) => headers(id, [['x-trailer', '1']])),
  fc.tuple(ID, BYTES).map(([id, block]) => headers(id, block)),
  fc.tuple(fc.nat(12), fc.nat(255), ID, BYTES).map(([type, flags, id, payload]) => frame(type, flags, id, payload)),
);
const short = (wire: Buffer): boolean => wire.length < 2_000;
const KNOWN = [...FRAME_CASES, ...STREAM_CASES, ...MESSAGE_CASES, ...HPACK_CASES]
  .map(([, , wire]) => wire)
  .filter(short);
const ANSWERS = CLIENT_CASES.map(([, , wire]) => wire).filter(short);
const PLACES = fc.array(fc.nat(), { minLength: 1, maxLength: 8 });

/** Some bytes of the wire are other ones. */
function mutated(wires: fc.Arbitrary<Buffer>): fc.Arbitrary<Buffer> {
  return fc.tuple(wires, fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 3 })).map(([wire, changes]) => {
    const changed = Buffer.from(wire);
    for (const [at, byte] of changes) if (changed.length > 0) changed[at % changed.length] = byte;
    return changed;
  });
}

function pieces(wire: Buffer, places: readonly number[]): Buffer[] {
  const bounds = [0, ...places.map((place) => place % (wire.length + 1)).toSorted((a, b) => a - b), wire.length];
  return bounds.slice(1).map((end, i) => wire.subarray(bounds[i], end));
}

function server(all: readonly Buffer[]): string {
  const recorded = recordServer();
  for (const piece of all) recorded.read(piece);
  return recorded.summary();
}

function client(all: readonly Buffer[]): string {
  const recorded = recordClient();
  for (const end of [true, false]) recorded.connection.request('GET / HTTP/1.1\r\nHost: a\r\n\r\n', 'https', end);
  for (const piece of all) recorded.read(piece);
  return recorded.summary();
}

test('any split gives the same events and frames', () => {
  const frames = fc.array(FRAME, { maxLength: 12 }).map((all) => Buffer.concat([START, ...all]));
  const wires = fc.oneof(frames, mutated(frames), mutated(fc.constantFrom(...KNOWN)));
  fc.assert(
    fc.property(wires, PLACES, (wire, places) => {
      expect(server(pieces(wire, places))).toBe(server([wire]));
    }),
    { numRuns: 4_000 },
  );
});

test('any split of answers gives the same events and frames', () => {
  const frames = fc.array(FRAME, { maxLength: 12 }).map((all) => Buffer.concat([settings(), ...all]));
  fc.assert(
    fc.property(fc.oneof(frames, mutated(fc.constantFrom(...ANSWERS))), PLACES, (wire, places) => {
      expect(client(pieces(wire, places))).toBe(client([wire]));
    }),
    { numRuns: 2_000 },
  );
});

test('a lane that answers at random never makes a connection throw or write a frame that is cut off', () => {
  const ACT = fc.constantFrom('respond', 'send', 'end', 'reset', 'trailers', 'none');
  fc.assert(
    fc.property(fc.array(fc.tuple(FRAME, ACT), { maxLength: 25 }), (steps) => {
      const recorded = recordServer({ events: { onData: () => undefined } });
      const { connection, streams } = recorded;
      recorded.read(START);
      for (const [wire, act] of steps) {
        recorded.read(wire);
        const stream = streams.findLast((one) => one.id !== 0 && !one.localEnded);
        if (stream === undefined || connection.dead || act === 'none') continue;
        if (act === 'respond') connection.respond(stream, 'HTTP/1.1 200 OK\r\nX-A: b\r\n\r\n', false);
        else if (act === 'send') connection.send(stream, Buffer.alloc(30_000), 0, 30_000, false);
        else if (act === 'end') connection.end(stream, '');
        else if (act === 'trailers') connection.end(stream, 'X-Sum: 1\r\n');
        else {
          connection.reset(stream, 8);
          streams.splice(streams.indexOf(stream), 1);
        }
        recorded.frames();
      }
      recorded.frames();
    }),
    { numRuns: 2_000 },
  );
});

test('a connection keeps no memory of 30,000 streams, fields and resets', async () => {
  setFlagsFromString('--expose-gc');
  const gc = runInNewContext('gc') as () => void;
  let now = 0;
  const recorded = recordServer({ clock: () => now });
  const round = (from: number, to: number): void => {
    for (let id = from; id < to; id += 2) {
      now += ABUSE_INTERVAL_MS;
      const large = Buffer.concat([bytes(0x40), string(`x-${id}`), string(`${id}`.padStart(2_000, 'v'))]);
      const known = Buffer.from('828784410161', 'hex');
      recorded.read(headers(id, Buffer.concat([known, large]), { end: false }, 20));
      recorded.read(
        Buffer.concat([data(id, 'x'.repeat(500), false), frame(T.PRIORITY, 0, id, Buffer.alloc(5)), reset(id)]),
      );
      recorded.events.length = 0;
      recorded.streams.length = 0;
      recorded.frames();
    }
  };
  /** Memory of buffers is given back in a turn of its own. */
  const used = async (): Promise<NodeJS.MemoryUsage> => {
    gc();
    await new Promise((resolve) => setImmediate(resolve));
    gc();
    return process.memoryUsage();
  };
  recorded.read(START);
  round(1, 4_001);
  const before = await used();
  round(4_001, 64_001);
  const after = await used();
  expect(recorded.connection.dead).toBe(false);
  expect(after.heapUsed - before.heapUsed).toBeLessThan(2_000_000);
  expect(after.arrayBuffers - before.arrayBuffers).toBeLessThan(2_000_000);
});
