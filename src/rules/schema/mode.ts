/** The `mode` field of keys that must name one, and the settings beside it. */
import { z } from 'zod';
import { constrain } from './constrain.ts';

const HASH = 'Hash: the value is hashed over the endpoints, so that equal values reach the same one.';

export const hashMode = z.enum(['Hash']).describe(HASH);

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
