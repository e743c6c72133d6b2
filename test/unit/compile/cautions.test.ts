/** What is told about policies that do something their author may not expect. */
import { expect, test } from 'vitest';
import { cautionsOf } from '../../../src/compile/passes/cautions.ts';
import { compilePolicy } from '../../../src/compile/passes/policies.ts';
import { conditionsOf } from '../../../src/compile/passes/status.ts';
import type { CookieRule, Rule } from '../../../src/model/sticky-policy.ts';

function cautions(cookie: CookieRule, idleTimeout?: string): string[] {
  const spec = { session: { idleTimeout }, rules: [{ name: 'r', cookie: { name: 'a', ...cookie } }] };
  return cautionsOf(compilePolicy({ id: 'ns/p', namespace: 'ns', name: 'p' }, spec), true).map(({ field }) => field);
}

test.each<[CookieRule, string | undefined, string[]]>([
  [{}, '30m', []],
  [{ mode: 'Hash' }, '30m', []],
  [{ mode: 'Rewrite' }, undefined, []],
  [{ format: 'Plain' }, undefined, ['spec.rules[0].cookie.format']],
  [{ mode: 'Passive' }, '30m', ['spec.rules[0].cookie.mode']],
  [{ preserve: true }, undefined, ['spec.rules[0].cookie.preserve']],
  [{ accept: [{ product: 'F5', name: 'b' }] }, undefined, ['spec.rules[0].cookie.accept[0]']],
  [{ accept: [{ product: 'F5', name: 'b', until: '2027-01-31T00:00:00Z' }] }, undefined, []],
  [{ mode: 'Prefix' }, '30m', ['spec.rules[0].cookie.mode']],
  [{ mode: 'Rewrite', format: 'Plain' }, '30m', ['spec.rules[0].cookie.format', 'spec.rules[0].cookie.mode']],
])('%j with idleTimeout %s', (cookie, idleTimeout, fields) => {
  expect(cautions(cookie, idleTimeout)).toEqual(fields);
});

test('the status of an accepted policy says them', () => {
  const message = (said?: string) => conditionsOf(undefined, said).find(({ type }) => type === 'Accepted')?.message;
  expect(message()).toBe('The policy is accepted.');
  expect(message('It is, but mind this.')).toBe('It is, but mind this.');
});

test.each(['Same', 'Newest', 'Any'] as const)('preferVersion: %s without the metadata of pods', (preferVersion) => {
  const policy = compilePolicy({ id: 'ns/p', namespace: 'ns', name: 'p' }, { onEndpointLost: { preferVersion } });
  expect(cautionsOf(policy, true)).toEqual([]);
  expect(cautionsOf(policy, false).map(({ field }) => field)).toEqual(
    preferVersion === 'Any' ? [] : ['spec.onEndpointLost.preferVersion'],
  );
});

test.each<[string, readonly Rule[] | undefined, string | undefined, string[]]>([
  ['one cookie', undefined, '30m', []],
  ['a key of the table', [{ name: 'r', sourceIP: { mode: 'Table' } }], undefined, []],
  ['a hash', [{ name: 'r', sourceIP: { mode: 'Hash' } }], undefined, ['spec.rebalance']],
  ['Rewrite', [{ name: 'r', cookie: { name: 'a', mode: 'Rewrite' } }], undefined, ['spec.rebalance']],
  ['force', [{ name: 'r', force: true, cookie: {} }], undefined, ['spec.rebalance']],
  ['sessions that are over by then', undefined, '10m', ['spec.rebalance.idleFor']],
])('rebalance with %s', (_, rules, idleTimeout, fields) => {
  const spec = { session: { idleTimeout }, rules, rebalance: { maxMovesPerMinute: 1, idleFor: '10m' } };
  const policy = compilePolicy({ id: 'ns/p', namespace: 'ns', name: 'p' }, spec);
  expect(cautionsOf(policy, true).map(({ field }) => field)).toEqual(fields);
});
