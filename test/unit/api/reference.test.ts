/** The reference pages: in step with the tables that the program reads. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { ANNOTATIONS } from '../../../src/api/annotations.ts';
import { annotationsReference, stickyPolicyReference } from '../../../src/api/reference.ts';

const DOCS = join(import.meta.dirname, '../../../docs/reference');

test.each([
  ['stickypolicy.md', stickyPolicyReference],
  ['annotations.md', annotationsReference],
])('the committed %s is what the tables make', (file, make) => {
  expect(readFileSync(join(DOCS, file), 'utf8')).toBe(make());
});

test('every annotation is named', () => {
  const reference = annotationsReference();
  for (const { name } of Object.values(ANNOTATIONS)) expect(reference).toContain(`\`holdfast.dev/${name}\``);
});

test('every field of a rule has its default or is required', () => {
  const section = stickyPolicyReference()
    .split('\n## ')
    .find((part) => part.startsWith('`spec.rules[].cookie`\n'));
  const rows = section?.split('\n').filter((line) => line.startsWith('| `'));
  expect(rows).toHaveLength(22);
  for (const row of rows ?? []) expect(row.split(' | ')[2]).not.toBe('');
});
