/** What a scenario works with: a folder, cores, how long and how often to measure; and taking the peers in turns. */
import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { selfSigned, type Certificate } from '../../test/support/certificate.ts';
import type { Sample } from './figures.ts';
import { allowedCores } from './machine.ts';
import type { Program } from './machine.ts';
import type { Omission, Question, Report } from './report.ts';

export interface Scenario {
  readonly name: string;
  readonly about: string;
  readonly programs: readonly Program[];
  readonly run: (lab: Lab) => Promise<(Report | Omission)[]>;
}

export interface Effort {
  readonly rounds: number;
  /** How long each peer is loaded in a round. */
  readonly seconds: number;
  /** Everything in its smallest form: it shows that the scenario works, and measures nothing. */
  readonly quick: boolean;
}

/** The name that our own figures have. */
export const US = 'holdfast';

/** s. V8 compiles by how often something happens: after one second Holdfast still takes a third more than after ten. */
const WARM_UP = 10;

export class Lab implements Effort {
  readonly rounds: number;
  readonly seconds: number;
  readonly quick: boolean;
  /** Those of the proxy under test, and those of load and backends, which share the proxy's where there are no others. */
  readonly proxyCores: string;
  readonly loadCores: string;
  readonly certificate: Certificate = selfSigned('bench.test');
  readonly #dir: string;

  constructor(dir: string, { rounds, seconds, quick }: Effort, proxyCores = 1) {
    const cores = allowedCores();
    const others = cores.slice(proxyCores);
    this.#dir = dir;
    this.rounds = rounds;
    this.seconds = seconds;
    this.quick = quick;
    this.proxyCores = cores.slice(0, proxyCores).join(',');
    this.loadCores = (others.length === 0 ? cores : others).join(',');
  }

  /** The same with so many cores for the proxy. */
  withProxyCores(count: number): Lab {
    return new Lab(this.#dir, this, count);
  }

  /** An empty folder. */
  folder(name: string): string {
    return mkdtempSync(join(this.#dir, `${name}-`));
  }

  /**
   * Peers alternate, and start in another order each time, so that what the machine does besides meets all of them.
   * Each is measured before, for nothing, until it is warm.
   *
   * @param warmUp s of that, with at least one measurement; of what takes its time, more; 0 = none, for what begins anew
   */
  async compare<Target extends { readonly name: string }>(
    question: Question,
    peers: readonly Target[],
    measure: (peer: Target) => Promise<Omit<Sample, 'peer'>>,
    warmUp = WARM_UP,
  ): Promise<Report> {
    console.log(`\n${question.title}`);
    for (const peer of this.quick ? [] : peers) {
      for (const from = performance.now(); performance.now() - from < warmUp * 1000;) await measure(peer);
    }
    const rounds: Sample[][] = [];
    for (let round = 0; round < this.rounds; round++) {
      const samples = new Map<string, Sample>();
      for (let turn = 0; turn < peers.length; turn++) {
        const peer = peers[(turn + round) % peers.length];
        if (peer === undefined) continue;
        const sample = { peer: peer.name, ...(await measure(peer)) };
        samples.set(peer.name, sample);
        console.log(`round ${round + 1}  ${lineOf(sample, question.unit)}`);
      }
      rounds.push(peers.flatMap(({ name }) => samples.get(name) ?? []));
    }
    return { ...question, rounds };
  }
}

function lineOf({ peer, figure, more }: Sample, unit: string): string {
  const others = Object.entries(more).map(([name, value]) => `${value.toFixed(2)} ${name}`);
  return `${peer.padEnd(16)} ${figure.toFixed(2)} ${unit}  ${others.join('  ')}`;
}
