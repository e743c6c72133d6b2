/** Schema of a `query` key. */
import { z } from 'zod';
import { extract } from '../schema/extract.ts';
import { hash, hashMode } from '../schema/mode.ts';
import { text } from '../schema/text.ts';

export const querySchema = z
  .strictObject({
    name: text().describe('Name of the query parameter; the first of that name counts.'),
    mode: hashMode,
    hash: hash.optional(),
    extract: extract.optional(),
  })
  .describe('The value of a query parameter is the key.');
