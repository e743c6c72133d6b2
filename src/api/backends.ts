/** Schema of a rule's `backends`: the Services that its requests are divided among. */
import { z } from 'zod';
import { constrain } from '../rules/schema/constrain.ts';
import { form, list, text } from '../rules/schema/text.ts';

const MAX_BACKENDS = 8;

const serviceName = constrain(
  text(63),
  form('^[a-z]([-a-z0-9]*[a-z0-9])?$', 'this is not the name of a Service; write lower-case letters, digits and `-`'),
);

const port = constrain(
  z.strictObject({
    number: z.int().min(1).max(65_535).optional().describe('Number of the port.'),
    name: text(63).optional().describe('Name of the port.'),
  }),
  {
    cel: 'has(self.number) != has(self.name)',
    holds: ({ number, name }) => (number === undefined) !== (name === undefined),
    message: 'write exactly one of `number` and `name`',
  },
).describe('A port of the Service.');

const backend = z.strictObject({
  service: z
    .strictObject({ name: serviceName.describe("Name of the Service, in the policy's namespace."), port })
    .describe('A Service port, written as in an Ingress.'),
  weight: z
    .int()
    .min(0)
    .max(1000)
    .optional()
    .describe(
      'Its part of the new sessions, in proportion to the weights of the others. `0`: no new sessions; those that it has are served.',
    )
    .meta({ defaultText: '1' }),
});

export const backends = constrain(list(backend, MAX_BACKENDS), {
  cel: 'self.all(one, self.exists_one(other, other.service.name == one.service.name))',
  holds: (all) => new Set(all.map(({ service }) => service.name)).size === all.length,
  message: 'a Service is named twice; write each once, with the sum of the weights',
}).describe(
  'The Services, in the namespace of the policy, that requests of this rule are divided among, whether its key is there or not. The first is the primary one: the sessions are its. A session stays at its Service and endpoint whatever becomes of the weights.',
);
