/** The StickyPolicy schema as JSON Schema: the common ground of the CRD and the reference. */
import { z } from 'zod';
import { specSchema } from './sticky-policy.ts';

/** What our schemas turn into; anything else is refused by the CRD's transform. */
export interface JsonSchema {
  readonly type?: string;
  readonly description?: string;
  /** What the compiler does when the field is unset, for the reference; never in the CRD. */
  readonly defaultText?: string;
  /** A better word than `text` for what the field holds, for the reference. */
  readonly typeText?: string;
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: boolean | JsonSchema;
  readonly items?: JsonSchema;
  readonly enum?: readonly string[];
  readonly [keyword: string]: unknown;
}

export function specJsonSchema(): JsonSchema {
  const { $schema: _, ...schema } = z.toJSONSchema(specSchema, { io: 'input', unrepresentable: 'throw' });
  return schema as JsonSchema;
}
