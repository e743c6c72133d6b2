/** The StickyPolicy schema: what it accepts, what it refuses, whom it blames and what it says. */
import { expect, expectTypeOf, test } from 'vitest';
import type { z } from 'zod';
import type { specSchema } from '../../../src/api/sticky-policy.ts';
import { dropUnknown, fieldPath, validateSpec } from '../../../src/api/validate.ts';
import type { StickyPolicySpec } from '../../../src/model/sticky-policy.ts';
import { COOKIE_FIELDS } from '../../../src/rules/cookie/schema.ts';
import { ACCEPTED, REFUSED, REFUSED_BY_THE_PROGRAM } from './policies.ts';

test.each(ACCEPTED)('accepts %s', (_title, spec) => {
  expect(validateSpec(spec).findings).toBeUndefined();
});

test.each([...REFUSED, ...REFUSED_BY_THE_PROGRAM])('refuses %s', (_title, spec, field, says) => {
  const findings = (validateSpec(spec).findings ?? []).map(({ path, message }) => [fieldPath('', path), message]);
  const found = findings.find(([path]) => path === field);
  expect(found, JSON.stringify(findings)).toBeDefined();
  expect(found?.[1]).toMatch(says);
});

test('what the schema yields is what the model says', () => {
  expectTypeOf<z.infer<typeof specSchema>>().toExtend<StickyPolicySpec>();
});

test('an accepted spec comes back as it was written', () => {
  const spec = { rules: [{ name: 'a', cookie: { name: 'HF' } }], session: { idleTimeout: '30m' } };
  expect(validateSpec(spec).spec).toEqual(spec);
});

test('every finding of a spec is reported, not the first one only', () => {
  const spec = { retry: { attempts: 9 }, drain: { action: 'Wait' }, rules: [{ name: 'A', none: {} }] };
  const paths = validateSpec(spec).findings?.map(({ path }) => fieldPath('spec', path));
  expect(paths?.toSorted()).toEqual(['spec.drain.action', 'spec.retry.attempts', 'spec.rules[0].name']);
});

test('every field of a cookie is refused by each mode that does not use it, and only by those', () => {
  const sample: Record<keyof typeof COOKIE_FIELDS, unknown> = {
    name: 'a',
    path: '/',
    domains: ['a.example'],
    secure: 'Always',
    httpOnly: true,
    sameSite: 'Lax',
    conditionalSameSiteNone: true,
    partitioned: false,
    maxAge: '1h',
    attributes: ['a'],
    emit: 'Always',
    emitOn: { statusBelow: 400 },
    cacheable: 'Skip',
    hideFromBackend: true,
    format: 'Signed',
    preserve: true,
    accept: [{ product: 'F5', name: 'b' }],
    delimiter: '!',
    extract: { offset: 1 },
    hash: { algorithm: 'Ring' },
    table: { idleTimeout: '6m', extendWhileActive: '1m' },
  };
  for (const [field, modes] of Object.entries(COOKIE_FIELDS)) {
    for (const mode of ['Insert', 'Rewrite', 'Prefix', 'Passive', 'Hash', 'Table', 'Learn'] as const) {
      const cookie = { name: 'a', mode, [field]: sample[field as keyof typeof COOKIE_FIELDS] };
      const { findings } = validateSpec({ rules: [{ name: 'a', cookie }] });
      expect([field, mode, findings === undefined]).toEqual([field, mode, modes.includes(mode)]);
    }
  }
});

test.each([undefined, null, 1, 'x', [], () => 1, Symbol('x'), new Date(), { toString: 3 }])(
  'never throws on %s',
  (raw) => {
    expect(() => validateSpec(raw)).not.toThrow();
    expect(() => validateSpec({ rules: [raw], session: raw })).not.toThrow();
  },
);

/** The spec as a newer version may have written it: a field more in every mapping but `ids`, whose keys are the user's. */
function newer(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(newer);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries([
    ...Object.entries(value).map(([key, one]: [string, unknown]) => [key, key === 'ids' ? one : newer(one)]),
    ['fromTheFuture', {}],
  ]);
}

test.each(ACCEPTED)('a newer version of %s is this one when its new fields are dropped', (_title, spec) => {
  const { known, dropped } = dropUnknown(newer(spec));
  expect(validateSpec(known)).toEqual(validateSpec(spec));
  expect(dropped.length).toBeGreaterThan(0);
  expect(dropped.every((path) => path.at(-1) === 'fromTheFuture')).toBe(true);
});

test.each(ACCEPTED)('nothing is dropped from %s', (_title, spec) => {
  const { known, dropped } = dropUnknown(spec);
  expect(dropped).toEqual([]);
  expect(validateSpec(known)).toEqual(validateSpec(spec));
});

test('a policy whose only rule has a kind of key that is not known stays refused', () => {
  const { known, dropped } = dropUnknown({ rules: [{ name: 'a', aura: {} }] });
  expect(dropped.map((path) => fieldPath('spec', path))).toEqual(['spec.rules[0].aura']);
  expect(validateSpec(known).findings).toHaveLength(1);
});

test('dropping never throws, whatever it gets', () => {
  for (const raw of [undefined, null, 3, 'a', [], [1], { rules: 3 }, { rules: [null] }, { a: { b: [] } }]) {
    expect(() => dropUnknown(raw)).not.toThrow();
  }
});
