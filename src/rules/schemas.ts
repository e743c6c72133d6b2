/** The registry of rule keys' schemas: the one place, besides its own folder, where a new kind is named for the API. */
import type { z } from 'zod';
import type { Rule } from '../model/sticky-policy.ts';
import { cookieSchema } from './cookie/schema.ts';
import { expressionSchema } from './expression/schema.ts';
import { headerSchema } from './header/schema.ts';
import { hostSchema } from './host/schema.ts';
import { noneSchema } from './none/schema.ts';
import { pathSchema } from './path/schema.ts';
import { querySchema } from './query/schema.ts';
import { sourceIPSchema } from './source-ip/schema.ts';
import { tlsSessionSchema } from './tls-session/schema.ts';

type KeyName = Exclude<keyof Rule, 'name' | 'when' | 'onMissing' | 'force' | 'backends'>;

/** Fields of a rule by which it has a key; each is optional, and the rule's own schema sees to it that there is at most one. */
export const KEY_SCHEMAS = {
  cookie: cookieSchema.optional(),
  header: headerSchema.optional(),
  sourceIP: sourceIPSchema.optional(),
  query: querySchema.optional(),
  path: pathSchema.optional(),
  host: hostSchema.optional(),
  tlsSession: tlsSessionSchema.optional(),
  expression: expressionSchema.optional(),
  none: noneSchema.optional(),
} as const satisfies Record<KeyName, z.ZodType>;

export const KEY_NAMES = Object.keys(KEY_SCHEMAS) as readonly KeyName[];
