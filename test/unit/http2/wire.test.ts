/** Every case gives its events and frames, whole, cut in two anywhere, and byte by byte. */
import { describe, expect, test } from 'vitest';
import { CLIENT_CASES } from '../../fixtures/http2/client.ts';
import { FRAME_CASES } from '../../fixtures/http2/frames.ts';
import { HPACK_CASES } from '../../fixtures/http2/hpack.ts';
import { MESSAGE_CASES } from '../../fixtures/http2/messages.ts';
import { STREAM_CASES } from '../../fixtures/http2/streams.ts';
import { recordClient, recordServer } from './record.ts';

const SERVER_CASES = [...FRAME_CASES, ...STREAM_CASES, ...MESSAGE_CASES, ...HPACK_CASES];

function server(pieces: readonly Buffer[]): string {
  const recorded = recordServer();
  for (const piece of pieces) recorded.read(piece);
  return recorded.summary();
}

/** A client that has asked for `/` by GET and by HEAD, and has a POST under way. */
function client(pieces: readonly Buffer[]): string {
  const recorded = recordClient();
  const { connection } = recorded;
  connection.request('GET / HTTP/1.1\r\nHost: a.example\r\n\r\n', 'https', true);
  connection.request('HEAD / HTTP/1.1\r\nHost: a.example\r\n\r\n', 'https', true);
  connection.request('POST / HTTP/1.1\r\nHost: a.example\r\n\r\n', 'https', false);
  recorded.frames();
  for (const piece of pieces) recorded.read(piece);
  return recorded.summary();
}

/** Long wires are cut at fewer places: near both ends and every 97 bytes. */
function places(length: number): number[] {
  const all = Array.from({ length: Math.max(0, length - 1) }, (_, i) => i + 1);
  return length <= 400 ? all : all.filter((at) => at < 60 || at > length - 60 || at % 197 === 0);
}

test('there are at least 140 cases with distinct names', () => {
  const names = [...SERVER_CASES, ...CLIENT_CASES].map(([section, name]) => `${section} ${name}`);
  expect(new Set(names).size).toBe(names.length);
  expect(names.length).toBeGreaterThanOrEqual(140);
});

describe.each([
  ['server', SERVER_CASES, server],
  ['client', CLIENT_CASES, client],
] as const)('%s', (_side, cases, run) => {
  test.each(cases)('RFC 9113, %s: %s', (_section, _name, wire, outcome) => {
    expect(run([wire])).toBe(outcome);
    for (const at of places(wire.length)) {
      const cut = run([wire.subarray(0, at), wire.subarray(at)]);
      if (cut !== outcome) expect(cut, `cut at ${at}`).toBe(outcome);
    }
    expect(run(Array.from(wire, (_, i) => wire.subarray(i, i + 1)))).toBe(outcome);
  });
});
