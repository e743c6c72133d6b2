/** Schema of a `host` key. */
import { z } from 'zod';
import { hashMode } from '../schema/mode.ts';

export const hostSchema = z.strictObject({ mode: hashMode }).describe("The request's host is the key.");
