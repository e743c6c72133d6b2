/** Schema of a `header` key. */
import { z } from 'zod';
import { constrain } from '../schema/constrain.ts';
import { extract } from '../schema/extract.ts';
import { hash, headerMode, table, usedByMode } from '../schema/mode.ts';
import { headerName } from '../schema/text.ts';

/** Their values are not the application's to choose, or are no single text. */
const NOT_MINTED =
  '^(connection|keep-alive|proxy-connection|te|trailer|transfer-encoding|upgrade|content-(length|type|encoding)|host|expect|date|server|cookie|set-cookie|cache-control|location|vary|via|forwarded|x-forwarded-.*|sec-websocket-.*)$';

export const headerSchema = constrain(
  z.strictObject({
    name: headerName.describe('Name of the header; letter case does not matter.'),
    mode: headerMode,
    hash: hash.optional(),
    table: table.optional(),
    extract: extract.optional(),
  }),
  ...usedByMode,
  {
    cel: "!has(self.extract) || self.mode != 'Wrap'",
    holds: ({ mode, extract: part }) => part === undefined || mode !== 'Wrap',
    message: '`extract` is not used by this mode; leave it out, or write `mode: Hash`',
    field: 'extract',
  },
  {
    cel: `self.mode != 'Wrap' || !self.name.lowerAscii().matches(r"${NOT_MINTED}")`,
    holds: ({ mode, name }) => mode !== 'Wrap' || !new RegExp(NOT_MINTED).test(name.toLowerCase()),
    message: 'this header has a meaning in HTTP and names no session; write one such as `Mcp-Session-Id`',
    field: 'name',
  },
).describe('The value of a request header is the key, or carries our token.');
