/** Medians, spreads and ratios of a benchmark's rounds. */

export interface Sample {
  readonly peer: string;
  readonly requests: number;
  readonly requestsPerSecond: number;
  /** CPU time of the proxy alone. */
  readonly microsecondsPerRequest: number;
}

export interface Summary {
  readonly peer: string;
  /** Median. */
  readonly requestsPerSecond: number;
  readonly microsecondsPerRequest: { readonly median: number; readonly least: number; readonly most: number };
  /** Our CPU time a request ÷ this peer's, round by round: below 1 = we need less. */
  readonly ours: { readonly median: number; readonly least: number; readonly most: number };
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? NaN) + upper) / 2;
}

/** `rounds`: of each round one sample a peer. Ratios are taken within a round: a slow minute of the machine slows all. */
export function summarize(rounds: readonly (readonly Sample[])[], us: string): Summary[] {
  const peers = rounds[0]?.map(({ peer }) => peer) ?? [];
  return peers.toSorted().map((peer) => {
    const samples = rounds.map((round) => sampleOf(round, peer));
    const costs = samples.map((sample) => sample.microsecondsPerRequest);
    const ratios = rounds.map((round, i) => sampleOf(round, us).microsecondsPerRequest / (costs[i] ?? NaN));
    return {
      peer,
      requestsPerSecond: median(samples.map((sample) => sample.requestsPerSecond)),
      microsecondsPerRequest: spread(costs),
      ours: spread(ratios),
    };
  });
}

export function table(summaries: readonly Summary[], us: string): string {
  const rows = summaries.map(({ peer, requestsPerSecond, microsecondsPerRequest: cost, ours }) => [
    peer,
    requestsPerSecond.toFixed(0),
    cost.median.toFixed(2),
    `${cost.least.toFixed(2)}–${cost.most.toFixed(2)}`,
    peer === us ? '' : `${ours.median.toFixed(2)} (${ours.least.toFixed(2)}–${ours.most.toFixed(2)})`,
  ]);
  const head = ['proxy', 'req/s', 'CPU µs/request', 'spread', `${us} ÷ proxy, CPU`];
  return [head, head.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |`).join('\n');
}

function spread(values: readonly number[]): { median: number; least: number; most: number } {
  return { median: median(values), least: Math.min(...values), most: Math.max(...values) };
}

function sampleOf(round: readonly Sample[], peer: string): Sample {
  const sample = round.find((candidate) => candidate.peer === peer);
  if (sample === undefined) throw new Error(`a round without ${peer}`);
  return sample;
}
