/** Schema of a `sourceIP` key. */
import { z } from 'zod';
import { constrain } from '../schema/constrain.ts';
import { hash, tableMode, table, usedByMode } from '../schema/mode.ts';

export const sourceIPSchema = constrain(
  z.strictObject({
    mode: tableMode,
    hash: hash.optional(),
    table: table.optional(),
    ipv4Prefix: z
      .int()
      .min(1)
      .max(32)
      .optional()
      .describe('So many leading bits of an IPv4 address count.')
      .meta({ defaultText: '32' }),
    ipv6Prefix: z
      .int()
      .min(1)
      .max(128)
      .optional()
      .describe('So many leading bits of an IPv6 address count.')
      .meta({ defaultText: '128' }),
  }),
  ...usedByMode,
).describe("The client's address, as seen behind trusted proxies, is the key.");
