/** Schema of a `tlsSession` key. */
import { z } from 'zod';
import { table } from '../schema/mode.ts';

export const tlsSessionSchema = z
  .strictObject({
    mode: z.enum(['Table']).describe('Table: the session table keeps which endpoint the TLS session has.'),
    table: table.optional(),
  })
  .describe(
    "The client's TLS session with us is the key: connections that resume it belong together. Up to TLS 1.2; with TLS 1.3 and without TLS the key is missing.",
  );
