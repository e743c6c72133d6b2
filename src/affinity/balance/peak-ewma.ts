/**
 * PeakEwma: of two different random endpoints the one with the lower latency × (requests in flight + 1), as Finagle's
 * p2c over its `PeakEwma` metric and Linkerd do it. The latency is that of answers' heads, in `shared/latencies.ts`.
 */
import type { Meters } from '../../model/live.ts';
import { twoChoices } from './two-choices.ts';

/** An endpoint that has answered nothing lately gets one request to show what it can do, and no second one before that. */
const PENALTY = 1e12;

function cost(meters: Meters, slot: number, now: number): number {
  const latency = meters.latency(slot, now);
  const inFlight = meters.inFlight(slot);
  return latency === 0 && inFlight > 0 ? PENALTY + inFlight : latency * (inFlight + 1);
}

export const peakEwma = twoChoices(cost);
