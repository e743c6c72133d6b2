/**
 * How slowly each endpoint answers: a moving average that a slow answer lifts at once and that fades with time, after
 * `PeakEwma` of Twitter's Finagle, which Linkerd uses, too. Each worker keeps its own row; the worst of them counts.
 */
import type { Block } from './cells.ts';
import { CHUNK_MASK, CHUNK_SHIFT, CHUNK_SLOTS, LATENCY } from './layout.ts';

/** After so long without an answer a figure has come down to 1/e. Finagle's and Linkerd's default. */
const DECAY_MS = 10_000;
/** ms. What has faded to less says nothing any more. */
const UNKNOWN = 0.001;

/** Takes note of an answer. `milliseconds` from the request being sent to the head of its answer; `now`: wall clock, ms. */
export function observeLatency(block: Block, row: number, slot: number, milliseconds: number, now: number): void {
  const cells = block.cells(slot);
  const at = block.at(slot, row);
  const fading = fade(now - (cells[at + LATENCY.at] ?? 0));
  const before = (cells[at + LATENCY.peak] ?? 0) * fading;
  cells[at + LATENCY.peak] = milliseconds > before ? milliseconds : before + milliseconds * (1 - fading);
  cells[at + LATENCY.at] = now;
}

/** The endpoint's latency as it is to be taken for now, ms; 0 = nothing is known of it. */
export function peakLatency(block: Block, slot: number, now: number): number {
  const cells = block.chunks[slot >> CHUNK_SHIFT]!;
  const stride = CHUNK_SLOTS * block.fields;
  let at = (slot & CHUNK_MASK) * block.fields;
  let worst = 0;
  // The last row is the main thread's, which sees no answers.
  for (let row = 0; row < block.rows - 1; row++, at += stride) {
    const peak = cells[at + LATENCY.peak]!;
    if (peak > worst) worst = Math.max(worst, peak * fade(now - cells[at + LATENCY.at]!));
  }
  return worst < UNKNOWN ? 0 : worst;
}

function fade(age: number): number {
  // A clock that was set back must not make it grow.
  return age <= 0 ? 1 : Math.exp(-age / DECAY_MS);
}
