/** A route's own pool and its canary's, joined in each way that a request may ask for. */
import { CANARY, canaryWish, PRIMARY } from '../affinity/canary.ts';
import type { KeyRing } from '../affinity/keyring.ts';
import type { LiveCanary, PoolRef, RouteCells } from '../lanes/live-table.ts';
import type { RouteCanary } from '../model/table.ts';
import type { RegexCompiler } from '../rules/kind.ts';
import { JoinedPool } from './joined-pool.ts';

export function canaryPair(
  primary: PoolRef,
  own: PoolRef,
  canary: RouteCanary,
  counted: ReadonlyMap<string, RouteCells>,
  regex: RegexCompiler,
  keys: () => KeyRing | undefined,
): LiveCanary {
  const { weight, total, legacy, overrides } = canary;
  const pair = (ofPrimary: number, ofCanary: number, only?: number): PoolRef => {
    const of = [
      { ref: primary, weight: ofPrimary },
      { ref: own, weight: ofCanary },
    ];
    return new JoinedPool(of, keys, only);
  };
  const sides = legacy
    ? { toPrimary: primary, toCanary: own }
    : { toPrimary: pair(1, 0, overrides ? PRIMARY : undefined), toCanary: pair(0, 1, overrides ? CANARY : undefined) };
  const divided = pair(total - weight, weight);
  const withoutCanary = pair(1, 0);
  return { weight, total, legacy, wish: canaryWish(canary, regex), own, divided, ...sides, withoutCanary, counted };
}
