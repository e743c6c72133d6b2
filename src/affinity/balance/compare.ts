/** What the algorithms that compare endpoints share: a uniform index, and which of two endpoints comes first. */
import type { LivePool, Meters } from '../../model/live.ts';
import type { BalanceEnv } from './balancer.ts';

/** What an endpoint carries; `now`: wall clock, ms. */
export type Load = (meters: Meters, slot: number, now: number) => number;

/** Maps an unsigned 32-bit integer to 0..count-1 without the bias of a remainder towards small numbers. */
export function scale(random: number, count: number): number {
  return Math.floor((random / 2 ** 32) * count);
}

/** Whether `a` comes before `b`: less load, then chosen less recently. Never chosen comes first. */
export function comesBefore(pool: LivePool, env: BalanceEnv, a: number, b: number, load: Load): boolean {
  const { meters, now } = env;
  const slotA = pool.endpoints[a]?.slot ?? 0;
  const slotB = pool.endpoints[b]?.slot ?? 0;
  const difference = load(meters, slotA, now) - load(meters, slotB, now);
  if (difference !== 0) return difference < 0;
  const chosenA = meters.lastChosen(slotA);
  const chosenB = meters.lastChosen(slotB);
  if (chosenA === 0 || chosenB === 0) return chosenA === 0 && chosenB !== 0;
  // The order is a counter that wraps around.
  return ((chosenA - chosenB) | 0) < 0;
}
