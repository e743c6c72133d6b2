/** Which side of a canary pair a request asks for: header, then cookie, as in ingress-nginx. */
import { expect, test } from 'vitest';
import { CANARY, canaryWish, EITHER, PRIMARY } from '../../../src/affinity/canary.ts';
import type { Canary } from '../../../src/model/canary.ts';
import { compileRe2 } from '../../../src/rules/re2.ts';
import { facts } from './fixtures.ts';

const BOTH = { header: { name: 'x-canary' }, cookie: 'canary' };
const VALUE = { header: { name: 'x-canary', value: 'beta' } };
const PATTERN = { header: { name: 'x-canary', pattern: '^b(eta)?$' } };

test.each<[Partial<Canary>, header: string | undefined, cookie: string, side: number]>([
  [{}, 'always', 'canary=always', EITHER],
  [BOTH, undefined, '', EITHER],
  [BOTH, 'always', '', CANARY],
  [BOTH, 'never', '', PRIMARY],
  [BOTH, 'Always', '', EITHER],
  [BOTH, 'always', 'canary=never', CANARY],
  [BOTH, 'never', 'canary=always', PRIMARY],
  [BOTH, 'perhaps', 'a=1; canary=always', CANARY],
  [BOTH, undefined, 'canary=never', PRIMARY],
  [BOTH, undefined, 'canary="always"', CANARY],
  [BOTH, undefined, 'canary=1; ;;junk', EITHER],
  [{ cookie: 'canary' }, 'always', 'canary=never', PRIMARY],
  [VALUE, 'beta', '', CANARY],
  [VALUE, 'always', '', EITHER],
  [VALUE, 'never', '', EITHER],
  [{ ...VALUE, cookie: 'canary' }, 'alpha', 'canary=never', PRIMARY],
  [PATTERN, 'b', '', CANARY],
  [PATTERN, 'bet', '', EITHER],
  [PATTERN, undefined, '', EITHER],
])('%j, header %j, cookie %j', (changes, header, cookie, side) => {
  const canary: Canary = {
    header: undefined,
    cookie: undefined,
    weight: 0,
    total: 100,
    legacy: false,
    overrides: false,
    ...changes,
  };
  const head: Record<string, string> = header === undefined ? {} : { 'x-canary': header };
  expect(canaryWish(canary, compileRe2)(facts({ cookie, head }))).toBe(side);
});
