/** Schema of a `path` key. */
import { z } from 'zod';
import { extract } from '../schema/extract.ts';
import { hash, hashMode } from '../schema/mode.ts';

export const pathSchema = z
  .strictObject({
    mode: hashMode,
    hash: hash.optional(),
    extract: extract.optional(),
    depth: z
      .int()
      .min(1)
      .max(64)
      .optional()
      .describe('Only so many leading segments of the path count.')
      .meta({ defaultText: 'unset: the whole path' }),
    includeQuery: z.boolean().optional().describe('The query belongs to the key.').meta({ defaultText: 'false' }),
  })
  .describe('The path is the key: each cache behind the Service sees its own share of the paths.');
