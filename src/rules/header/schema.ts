/** Schema of a `header` key. */
import { z } from 'zod';
import { extract } from '../schema/extract.ts';
import { hash, hashMode } from '../schema/mode.ts';
import { headerName } from '../schema/text.ts';

export const headerSchema = z
  .strictObject({
    name: headerName.describe('Name of the header; letter case does not matter.'),
    mode: hashMode,
    hash: hash.optional(),
    extract: extract.optional(),
  })
  .describe('The value of a request header is the key.');
