/** Schema of `accept`: cookies that another product has given to clients. */
import { z } from 'zod';
import { constrain } from '../schema/constrain.ts';
import { cookieName, form, text } from '../schema/text.ts';

const MOST_IDS = 64;

/** RFC 3339. Days that a month does not have are the next month's. */
const time = constrain(
  text(40),
  form(
    '^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]([.][0-9]{1,9})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$',
    'this is not a time; write it as in RFC 3339, such as `2027-01-31T00:00:00Z`',
  ),
);

/** No conditions on keys and values: what is no server or no pod matches nothing. */
const ids = constrain(z.record(z.string(), text(253)), {
  cel: `size(self) <= ${MOST_IDS}`,
  holds: (value) => Object.keys(value).length <= MOST_IDS,
  message: `these are too many; write at most ${MOST_IDS}`,
}).meta({ maxProperties: MOST_IDS });

export const acceptedCookie = z.strictObject({
  product: z
    .enum(['IngressNginx', 'Traefik', 'HAProxy', 'Tengine', 'F5'])
    .describe('Whose cookie it is: each has a format of its own.'),
  name: cookieName.describe('Name of the cookie.'),
  until: time
    .optional()
    .describe('From this time on the cookie is ignored (RFC 3339).')
    .meta({ defaultText: 'unset: accepted for good, of which the status warns' }),
  ids: ids
    .optional()
    .describe(
      "The product's own names of its servers, or what its cookies say instead, each with the name of the pod that is meant. Names that are made from the address need not be listed: they are known for all Ready endpoints.",
    )
    .meta({ typeText: `pod names by server, at most ${MOST_IDS}`, defaultText: 'none' }),
});
