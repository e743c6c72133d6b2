/** What the algorithms that compare endpoints share: a uniform index, and which of two endpoints is less busy. */
import type { LivePool, Meters } from '../../model/live.ts';

/** Maps an unsigned 32-bit integer to 0..count-1 without the bias of a remainder towards small numbers. */
export function scale(random: number, count: number): number {
  return Math.floor((random / 2 ** 32) * count);
}

/** Whether `a` has fewer requests in flight than `b`, or as many and was chosen less recently. */
export function lessBusy(pool: LivePool, meters: Meters, a: number, b: number): boolean {
  return comesBefore(pool, meters, a, b, inFlight);
}

function inFlight(meters: Meters, slot: number): number {
  return meters.inFlight(slot);
}

/** Whether `a` comes before `b`: less load, then chosen less recently. Never chosen comes first. */
export function comesBefore(
  pool: LivePool,
  meters: Meters,
  a: number,
  b: number,
  load: (meters: Meters, slot: number) => number,
): boolean {
  const slotA = pool.endpoints[a]?.slot ?? 0;
  const slotB = pool.endpoints[b]?.slot ?? 0;
  const difference = load(meters, slotA) - load(meters, slotB);
  if (difference !== 0) return difference < 0;
  const chosenA = meters.lastChosen(slotA);
  const chosenB = meters.lastChosen(slotB);
  if (chosenA === 0 || chosenB === 0) return chosenA === 0 && chosenB !== 0;
  // The order is a counter that wraps around.
  return ((chosenA - chosenB) | 0) < 0;
}
