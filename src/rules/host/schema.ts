/** Schema of a `host` key. */
import { z } from 'zod';
import { constrain } from '../schema/constrain.ts';
import { hash, tableMode, table, usedByMode } from '../schema/mode.ts';

export const hostSchema = constrain(
  z.strictObject({ mode: tableMode, hash: hash.optional(), table: table.optional() }),
  ...usedByMode,
).describe("The request's host is the key.");
