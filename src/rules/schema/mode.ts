/** The `mode` field of keys that must name one, and the settings beside it. */
import { z } from 'zod';
import { type Condition, constrain } from './constrain.ts';
import { durationFromOneSecond } from './text.ts';

const HASH = 'Hash: the value is hashed over the endpoints, so that equal values reach the same one.';
const TABLE = 'Table: the session table keeps which endpoint the value has.';
const LEARN =
  'Learn: as Table, but only values that an answer of the backend has carried under the same name are sessions, with the endpoint that answered; others are balanced.';

export const tableMode = z.enum(['Hash', 'Table']).describe(`${HASH} ${TABLE}`);
const WRAP =
  'Wrap: our token is put in front of the value that the backend mints in an answer, and taken off again on requests, so that the backend sees its own.';
export const headerMode = z.enum(['Hash', 'Table', 'Learn', 'Wrap']).describe(`${HASH} ${TABLE} ${LEARN} ${WRAP}`);

/** Not by `minimum`: of one with a fraction the API server compares the whole part when the value is a whole number. */
const maxLoadFactor = constrain(z.number(), {
  cel: 'self >= 1.1',
  holds: (factor) => factor >= 1.1,
  message: 'a load is never that even; write 1.1 or more',
});

export const hash = z
  .strictObject({
    algorithm: z
      .enum(['Rendezvous', 'Maglev', 'Ring'])
      .optional()
      .describe(
        'How keys are spread. Rendezvous: evenly, and a change of the endpoints moves only the keys it must. Maglev: most evenly and at the same cost for any number of endpoints, but a change also moves some other keys. Ring: only the keys it must, less evenly.',
      )
      .meta({ defaultText: 'Rendezvous' }),
    maxLoadFactor: maxLoadFactor
      .optional()
      .describe(
        "At least 1.1. Bounds an endpoint's requests in flight to so many times the mean of the Ready endpoints, never below 8; what is above goes to the next endpoint in the key's order, and the key stays where it is. A rule with `force` knows no bound.",
      )
      .meta({ defaultText: 'unset: no bound' }),
  })
  .describe('How the value is hashed.');

export const table = z
  .strictObject({
    idleTimeout: durationFromOneSecond("the policy's")
      .optional()
      .describe('How long the table keeps a value after the end of its last request.')
      .meta({ defaultText: "the policy's `session.idleTimeout`, else 360s" }),
    extendWhileActive: durationFromOneSecond('2m')
      .optional()
      .describe(
        'By how much that time is extended when it is up and a request or an upgraded connection still uses it.',
      )
      .meta({ defaultText: '2m' }),
  })
  .describe('How long the session table keeps a value.');

interface Used {
  readonly mode: string;
  readonly hash?: unknown;
  readonly table?: unknown;
}

/** A field that its mode does not use is refused, because it would silently do nothing. */
export const usedByMode: readonly Condition<Used>[] = [
  {
    cel: "!has(self.hash) || self.mode == 'Hash'",
    holds: ({ mode, hash: settings }) => settings === undefined || mode === 'Hash',
    message: '`hash` is not used by this mode; leave it out, or write `mode: Hash`',
    field: 'hash',
  },
  {
    cel: "!has(self.table) || self.mode in ['Table', 'Learn']",
    holds: ({ mode, table: settings }) => settings === undefined || mode === 'Table' || mode === 'Learn',
    message: '`table` is not used by this mode; leave it out, or write `mode: Table`',
    field: 'table',
  },
];
