/** Every wire fixture gives its events, whole, cut in two anywhere, and byte by byte. */
import { describe, expect, test } from 'vitest';
import { REQUEST_FIXTURES } from '../../fixtures/wire/requests.ts';
import type { WireFixture } from '../../fixtures/wire/requests.ts';
import { RESPONSE_FIXTURES } from '../../fixtures/wire/responses.ts';
import { cut, recordRequests, recordResponse } from './record.ts';
import type { Recording } from './record.ts';

type Run = (fixture: WireFixture, pieces: readonly string[]) => Recording;

const runRequest: Run = (_, pieces) => recordRequests(pieces);
const runResponse: Run = (fixture, pieces) => recordResponse(pieces, fixture.method, fixture.closed);

/** Long fixtures are cut at fewer places: near both ends and every 97 bytes. */
function places(length: number): number[] {
  const all = Array.from({ length: Math.max(0, length - 1) }, (_, i) => i + 1);
  return length <= 600
    ? all
    : all.filter((at) => at < 60 || at > length - 60 || at % 97 === 0 || Math.abs(at - 16_384) < 60);
}

test('there are at least 120 fixtures with distinct names', () => {
  for (const fixtures of [REQUEST_FIXTURES, RESPONSE_FIXTURES]) {
    expect(new Set(fixtures.map((fixture) => fixture.name)).size).toBe(fixtures.length);
  }
  expect(REQUEST_FIXTURES.length + RESPONSE_FIXTURES.length).toBeGreaterThanOrEqual(120);
});

describe.each([
  ['requests', REQUEST_FIXTURES, runRequest],
  ['responses', RESPONSE_FIXTURES, runResponse],
] as const)('%s', (_kind, fixtures, run) => {
  test.each(fixtures.map((fixture) => [fixture.name, fixture] as const))('%s', (_name, fixture) => {
    const whole = run(fixture, [fixture.wire]);
    expect(whole.summary).toBe(fixture.events);
    for (const at of places(fixture.wire.length)) {
      const { details } = run(fixture, cut(fixture.wire, at));
      if (details !== whole.details) expect(details, `cut at ${at}`).toBe(whole.details);
    }
    expect(run(fixture, [...fixture.wire]).details).toBe(whole.details);
  });
});
