/** Schema of a `host` key. */
import { z } from 'zod';
import { hash, hashMode } from '../schema/mode.ts';

export const hostSchema = z
  .strictObject({ mode: hashMode, hash: hash.optional() })
  .describe("The request's host is the key.");
