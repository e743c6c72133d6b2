/** The page of behaviours: it leaves none out, and names tests that there are; that they ran, the reporter says. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { rows } from '../../support/behaviours.ts';
import { ROOT } from '../cli/run-cli.ts';

const COUNTS = { L: 25, F: 36, 'Tengine T': 20, H: 22 };

test('every behaviour stands there once', () => {
  const wanted = Object.entries(COUNTS).flatMap(([prefix, count]) =>
    Array.from({ length: count }, (_, i) => `${prefix}${i + 1}`),
  );
  expect(rows().map(({ id }) => id)).toEqual(wanted);
});

test.each(rows())('$id has a field and tests, or says why not', ({ field, tests }) => {
  expect(tests.length > 0).toBe(!/^(does not apply|not there yet): /.test(field));
  for (const { file, title } of tests) {
    expect(existsSync(join(ROOT, file)), `${file} exists`).toBe(true);
    expect(title).not.toBe('');
  }
});
