/** Asks all replicas how much work a pod still has, and adds up. */
import type { Caller, DrainProgress } from '../admin/types.ts';
import { objectKey } from '../model/ids.ts';
import { Fresh } from './fresh.ts';
import type { ReplicaCalls } from './replica-calls.ts';

export interface ReplicasOptions {
  readonly calls: ReplicaCalls;
  /** Unique to this process: a replica that reaches itself counts once. */
  readonly instance: string;
  readonly local: (namespace: string, pod: string) => DrainProgress;
  readonly clock: () => number;
}

/** One question here is one for each replica. Less than the second after which `drain --wait` looks again, so that it sees anew. */
const SAME_ANSWER_MS = 500;

export class Replicas {
  readonly #options: ReplicasOptions;
  readonly #answers: Fresh<DrainProgress>;

  constructor(options: ReplicasOptions) {
    this.#options = options;
    this.#answers = new Fresh(SAME_ANSWER_MS, options.clock);
  }

  /** Of this process alone; undefined = the caller has not shown that it may ask. */
  local(namespace: string, pod: string, caller: Caller): DrainProgress | undefined {
    const { calls, instance, local } = this.#options;
    if (!caller.loopback && !calls.isReplica(caller)) return undefined;
    return { ...local(namespace, pod), instance };
  }

  /** Of all replicas; not done while one of them does not answer. Who asks about one pod within a moment shares the answer. */
  async all(namespace: string, pod: string): Promise<DrainProgress> {
    if (this.#options.calls.alone) return this.#options.local(namespace, pod);
    return await this.#answers.get(objectKey(namespace, pod), () => this.#askAll(namespace, pod));
  }

  async #askAll(namespace: string, pod: string): Promise<DrainProgress> {
    const own = this.#options.local(namespace, pod);
    const query = new URLSearchParams({ pod: objectKey(namespace, pod), local: '1' }).toString();
    const { asked, answers: found } = await this.#options.calls.ask({ target: `/api/v1/drain?${query}` });
    const answers = found.map(progressOf).filter((answer) => answer !== undefined);
    const byInstance = new Map<string, DrainProgress>([[this.#options.instance, own]]);
    for (const answer of answers) {
      if (answer.instance !== undefined && !byInstance.has(answer.instance)) byInstance.set(answer.instance, answer);
    }
    const answered = answers.length;
    // We are a replica ourselves: a Service that shows none is not known yet, or is the wrong one.
    const complete = asked > 0 && answered === asked;
    const sum = (read: (progress: DrainProgress) => number): number =>
      [...byInstance.values()].reduce((total, progress) => total + read(progress), 0);
    const sessions = sum((progress) => progress.sessions);
    const inFlight = sum((progress) => progress.inFlight);
    const upgraded = sum((progress) => progress.upgraded);
    const done = complete && [...byInstance.values()].every((progress) => progress.done);
    return { sessions, inFlight, upgraded, done, replicas: { asked, answered } };
  }
}

/** undefined = it is none. */
function progressOf(raw: unknown): DrainProgress | undefined {
  const { sessions, inFlight, upgraded, done, instance } = (raw ?? {}) as Record<string, unknown>;
  if (typeof inFlight !== 'number' || typeof upgraded !== 'number' || typeof done !== 'boolean') return undefined;
  if (typeof sessions !== 'number') return undefined;
  return typeof instance === 'string' ? { sessions, inFlight, upgraded, done, instance } : undefined;
}
