/** Schema of a `sourceIP` key. */
import { z } from 'zod';
import { hash, hashMode } from '../schema/mode.ts';

export const sourceIPSchema = z
  .strictObject({
    mode: hashMode,
    hash: hash.optional(),
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
  })
  .describe("The client's address, as seen behind trusted proxies, is the key.");
