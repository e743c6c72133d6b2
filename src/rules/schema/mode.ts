/** The `mode` field of keys that must name one. */
import { z } from 'zod';

const HASH = 'Hash: the value is hashed over the endpoints, so that equal values reach the same one.';

export const hashMode = z.enum(['Hash']).describe(HASH);
