/** The CRD: structural, bounded, without defaults, and in step with the schema. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { stickyPolicyCrd, toStructural } from '../../../src/api/crd.ts';
import type { JsonSchema } from '../../../src/api/json-schema.ts';

const FILE = join(import.meta.dirname, '../../../manifests/crds/holdfast.dev_stickypolicies.yaml');

interface Crd {
  readonly spec: { readonly versions: readonly [{ readonly schema: { readonly openAPIV3Schema: JsonSchema } }] };
}

const crd = stickyPolicyCrd() as unknown as Crd;
const root = crd.spec.versions[0].schema.openAPIV3Schema;

function walk(schema: JsonSchema, path: string, visit: (schema: JsonSchema, path: string) => void): void {
  visit(schema, path);
  if (schema.items !== undefined) walk(schema.items, `${path}[]`, visit);
  if (typeof schema.additionalProperties === 'object') walk(schema.additionalProperties, `${path}[]`, visit);
  for (const [name, field] of Object.entries(schema.properties ?? {})) walk(field, `${path}.${name}`, visit);
}

/** Paths of the schemas for which something does not hold. */
function failing(holds: (schema: JsonSchema) => boolean): string[] {
  const paths: string[] = [];
  walk(root, '', (schema, path) => {
    if (!holds(schema)) paths.push(path);
  });
  return paths;
}

test('the committed file is what the schema makes', () => {
  expect(parse(readFileSync(FILE, 'utf8'))).toEqual(crd);
});

test('every string is bounded', () => {
  expect(
    failing(
      ({ type, maxLength, enum: values }) => type !== 'string' || maxLength !== undefined || values !== undefined,
    ),
  ).toEqual([]);
});

test('every list is bounded and says how it is merged', () => {
  expect(
    failing(
      (schema) =>
        schema.type !== 'array' || (schema['maxItems'] !== undefined && schema['x-kubernetes-list-type'] !== undefined),
    ),
  ).toEqual([]);
});

test('every number is bounded on the side a user could overdo', () => {
  expect(
    failing(
      ({ type, minimum, maximum, format }) =>
        type !== 'integer' || (minimum !== undefined && (maximum !== undefined || format === 'int64')),
    ),
  ).toEqual([]);
});

test('nothing has a default, and nothing is left that a structural schema may not hold', () => {
  const forbidden = [
    'default',
    'anyOf',
    'oneOf',
    'allOf',
    'not',
    '$ref',
    'const',
    'defaultText',
    'typeText',
    'pattern',
  ];
  expect(failing((schema) => forbidden.every((keyword) => !(keyword in schema)))).toEqual([]);
});

test('a map has a bound, and nothing but maps lets any name through', () => {
  expect(
    failing(
      ({ additionalProperties: members, properties, maxProperties }) =>
        members === undefined ||
        (typeof members === 'object' && properties === undefined && maxProperties !== undefined),
    ),
  ).toEqual([]);
});

test('every schema has a type', () => {
  expect(failing(({ type }) => typeof type === 'string')).toEqual([]);
});

test('every field of the spec but the members of lists is described', () => {
  const bare = failing(({ description }) => description !== undefined).filter(
    (path) => path.startsWith('.spec') && !path.endsWith('[]'),
  );
  expect(bare).toEqual([]);
});

test('every CEL rule has a message that fits, and blames a field that exists', () => {
  let rules = 0;
  walk(root, '', (schema, path) => {
    const validations = (schema['x-kubernetes-validations'] ?? []) as {
      rule: string;
      message: string;
      fieldPath?: string;
    }[];
    for (const { rule, message, fieldPath } of validations) {
      rules++;
      expect(rule, path).not.toMatch(/\n/);
      expect(message, path).not.toMatch(/\n/);
      expect(message.length, path).toBeLessThan(2048);
      if (fieldPath !== undefined) expect(schema.properties, path).toHaveProperty(fieldPath.slice(1));
    }
  });
  expect(rules).toBeGreaterThan(50);
});

test('a keyword that nobody has thought about is not let through', () => {
  const schema: JsonSchema = {
    type: 'object',
    properties: { a: { anyOf: [{ type: 'string' }, { type: 'integer' }] } },
  };
  expect(() => toStructural(schema)).toThrow(/anyOf/);
});
