/** The `mode` field of keys that must name one, and the settings beside it. */
import { z } from 'zod';

const HASH = 'Hash: the value is hashed over the endpoints, so that equal values reach the same one.';

export const hashMode = z.enum(['Hash']).describe(HASH);

export const hash = z
  .strictObject({
    algorithm: z
      .enum(['Rendezvous', 'Maglev', 'Ring'])
      .optional()
      .describe(
        'How keys are spread. Rendezvous: evenly, and a change of the endpoints moves only the keys it must. Maglev: most evenly and at the same cost for any number of endpoints, but a change also moves some other keys. Ring: only the keys it must, less evenly.',
      )
      .meta({ defaultText: 'Rendezvous' }),
    maxLoadFactor: z
      .number()
      .min(1.1)
      .optional()
      .describe(
        "Bounds an endpoint's requests in flight to so many times the mean of the Ready endpoints, never below 8; what is above goes to the next endpoint in the key's order, and the key stays where it is. A rule with `force` knows no bound.",
      )
      .meta({ defaultText: 'unset: no bound' }),
  })
  .describe('How the value is hashed.');
