/** Random bytes and random splits: the parsers never throw and never depend on how bytes arrive. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { REQUEST_FIXTURES } from '../fixtures/wire/requests.ts';
import { RESPONSE_FIXTURES } from '../fixtures/wire/responses.ts';
import { cut, recordRequests, recordResponse } from '../unit/http1/record.ts';
import { mutated, REQUEST } from './http1-generate.ts';

const short = (wire: string): boolean => wire.length < 2_000;
const REQUESTS = fc.oneof(REQUEST, fc.constantFrom(...REQUEST_FIXTURES.map((fixture) => fixture.wire).filter(short)));
const RESPONSES = fc.constantFrom(...RESPONSE_FIXTURES.map((fixture) => fixture.wire).filter(short));
const BYTES = fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes).toString('latin1'));
const PLACES = fc.array(fc.nat(), { minLength: 1, maxLength: 8 });
const SMALL = { head: 150, headers: 6, target: 20 };

function pieces(wire: string, places: readonly number[]): string[] {
  return cut(wire, ...places.map((place) => place % (wire.length + 1)));
}

test('requests: any split gives the same events, also with narrow limits', () => {
  const wires = mutated(
    fc.array(REQUESTS, { minLength: 1, maxLength: 3 }).map((wires) => wires.join('')),
    3,
  );
  fc.assert(
    fc.property(wires, PLACES, fc.boolean(), (wire, places, narrow) => {
      const limits = narrow ? SMALL : undefined;
      const whole = recordRequests([wire], limits).details;
      expect(recordRequests(pieces(wire, places), limits).details).toBe(whole);
    }),
    { numRuns: 3_000 },
  );
});

test('responses: any split gives the same events, also with narrow limits', () => {
  fc.assert(
    fc.property(
      mutated(RESPONSES, 3),
      PLACES,
      fc.constantFrom('GET', 'HEAD'),
      fc.boolean(),
      fc.boolean(),
      (wire, places, method, closed, narrow) => {
        const limits = narrow ? SMALL : undefined;
        const whole = recordResponse([wire], method, closed, limits).details;
        expect(recordResponse(pieces(wire, places), method, closed, limits).details).toBe(whole);
      },
    ),
    { numRuns: 3_000 },
  );
});

test('arbitrary bytes are refused or waited for, never thrown at', () => {
  const heads = [
    '',
    'GET / HTTP/1.1\r\nHost: a\r\n',
    'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n',
  ];
  fc.assert(
    fc.property(fc.constantFrom(...heads), BYTES, PLACES, (head, bytes, places) => {
      const wire = head + bytes;
      expect(recordRequests(pieces(wire, places)).details).toBe(recordRequests([wire]).details);
    }),
    { numRuns: 2_000 },
  );
  fc.assert(
    fc.property(fc.constantFrom('', 'HTTP/1.1 200 OK\r\n'), BYTES, PLACES, (head, bytes, places) => {
      const wire = head + bytes;
      expect(recordResponse(pieces(wire, places)).details).toBe(recordResponse([wire]).details);
    }),
    { numRuns: 2_000 },
  );
});
