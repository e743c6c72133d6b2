/** Medians, spreads and ratios of a benchmark's rounds. */

export interface Sample {
  readonly peer: string;
  /** What the peers are compared by; its unit is the measurement's. */
  readonly figure: number;
  /** What else is worth a column. */
  readonly more: Readonly<Record<string, number>>;
}

export interface Spread {
  readonly median: number;
  readonly least: number;
  readonly most: number;
}

export interface Summary {
  readonly peer: string;
  readonly figure: Spread;
  /** Medians. */
  readonly more: Readonly<Record<string, number>>;
  /** Our figure ÷ this peer's, round by round; NaN where ours is not among them, or neither means anything. */
  readonly ratio: Spread;
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? NaN) + upper) / 2;
}

/** `rounds`: of each round one sample a peer. Ratios are taken within a round: a slow minute of the machine slows all. */
export function summarize(rounds: readonly (readonly Sample[])[], us: string | undefined): Summary[] {
  const peers = rounds[0]?.map(({ peer }) => peer) ?? [];
  return peers.map((peer) => {
    const samples = rounds.flatMap((round) => sampleOf(round, peer) ?? []);
    const columns = Object.keys(samples[0]?.more ?? {});
    const ratios = rounds.map((round) => figureOf(round, us) / figureOf(round, peer));
    return {
      peer,
      figure: spread(samples.map(({ figure }) => figure)),
      more: Object.fromEntries(columns.map((name) => [name, median(samples.map(({ more }) => more[name] ?? NaN))])),
      ratio: spread(ratios.filter((ratio) => ratio > 0)),
    };
  });
}

function spread(values: readonly number[]): Spread {
  if (values.length === 0) return { median: NaN, least: NaN, most: NaN };
  return { median: median(values), least: Math.min(...values), most: Math.max(...values) };
}

function sampleOf(round: readonly Sample[], peer: string | undefined): Sample | undefined {
  return round.find((sample) => sample.peer === peer);
}

/** NaN where there is none to divide by. */
function figureOf(round: readonly Sample[], peer: string | undefined): number {
  const figure = sampleOf(round, peer)?.figure ?? NaN;
  return figure > 0 ? figure : NaN;
}
