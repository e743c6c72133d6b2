/** Schema of a `path` key. */
import { z } from 'zod';
import { constrain } from '../schema/constrain.ts';
import { extract } from '../schema/extract.ts';
import { hash, tableMode, table, usedByMode } from '../schema/mode.ts';

export const pathSchema = constrain(
  z.strictObject({
    mode: tableMode,
    hash: hash.optional(),
    table: table.optional(),
    extract: extract.optional(),
    depth: z
      .int()
      .min(1)
      .max(64)
      .optional()
      .describe('Only so many leading segments of the path count.')
      .meta({ defaultText: 'unset: the whole path' }),
    includeQuery: z.boolean().optional().describe('The query belongs to the key.').meta({ defaultText: 'false' }),
  }),
  ...usedByMode,
).describe('The path is the key: each cache behind the Service sees its own share of the paths.');
