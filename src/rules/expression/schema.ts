/** Schema of an `expression` key. */
import { z } from 'zod';
import { cel } from '../schema/cel.ts';
import { constrain } from '../schema/constrain.ts';
import { hash, tableMode, table, usedByMode } from '../schema/mode.ts';

export const expressionSchema = constrain(
  z.strictObject({
    cel: cel('string').describe(
      "An expression in CEL that gives a text, such as `request.headers['x-user'] + request.host`. An error, such as a header that is not there, and an empty text count as a missing key.",
    ),
    mode: tableMode,
    hash: hash.optional(),
    table: table.optional(),
  }),
  ...usedByMode,
).describe('What an expression makes of the request is the key.');
