/** Schema of `extract`: which part of a value is the key. Three shapes that exclude one another. */
import { z } from 'zod';
import { constrain } from './constrain.ts';
import { MAX_TEXT, regex, text } from './text.ts';

const shape = z.strictObject({
  offset: z
    .int()
    .min(0)
    .max(8192)
    .optional()
    .describe('Characters to leave out at the start.')
    .meta({ defaultText: '0' }),
  length: z
    .int()
    .min(1)
    .max(8192)
    .optional()
    .describe('Characters to take.')
    .meta({ defaultText: 'unset: up to the end' }),
  after: text().optional().describe('Search for this text; the part begins behind it.'),
  skip: z
    .int()
    .min(0)
    .max(MAX_TEXT)
    .optional()
    .describe("Where the part begins, in characters from where `after` begins, as in F5's findstr.")
    .meta({ defaultText: 'the length of `after`' }),
  until: text().optional().describe('The part ends before this text.').meta({ defaultText: 'unset: up to the end' }),
  regex: regex.optional().describe('The first group of the first match, or the whole match when there is no group.'),
});

type Shape = z.output<typeof shape>;
const byPosition = (value: Shape): boolean => value.offset !== undefined || value.length !== undefined;
const byText = (value: Shape): boolean =>
  value.after !== undefined || value.skip !== undefined || value.until !== undefined;
const BY_POSITION = '(has(self.offset) || has(self.length) ? 1 : 0)';
const BY_TEXT = '(has(self.after) || has(self.skip) || has(self.until) ? 1 : 0)';

export const extract = constrain(
  shape,
  {
    cel: `${BY_POSITION} + ${BY_TEXT} + (has(self.regex) ? 1 : 0) == 1`,
    holds: (value) => Number(byPosition(value)) + Number(byText(value)) + Number(value.regex !== undefined) === 1,
    message: 'write exactly one of the three shapes: `offset` and `length`, or `after`, `skip` and `until`, or `regex`',
  },
  {
    cel: 'has(self.after) || !(has(self.skip) || has(self.until))',
    holds: (value) => value.after !== undefined || !byText(value),
    message: '`skip` and `until` need a place to start from; write `after` beside them',
  },
).describe('Takes a part of the value as the key. An empty result counts as a missing key.');
