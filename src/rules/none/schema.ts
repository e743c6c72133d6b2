/** Schema of a `none` key. */
import { z } from 'zod';

export const noneSchema = z
  .strictObject({})
  .describe('Requests of this rule are balanced freely, even with a token; write `{}`.');
