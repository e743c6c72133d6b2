/** Schema of a `query` key. */
import { z } from 'zod';
import { constrain } from '../schema/constrain.ts';
import { extract } from '../schema/extract.ts';
import { hash, tableMode, table, usedByMode } from '../schema/mode.ts';
import { text } from '../schema/text.ts';

export const querySchema = constrain(
  z.strictObject({
    name: text().describe('Name of the query parameter; the first of that name counts.'),
    mode: tableMode,
    hash: hash.optional(),
    table: table.optional(),
    extract: extract.optional(),
  }),
  ...usedByMode,
).describe('The value of a query parameter is the key.');
