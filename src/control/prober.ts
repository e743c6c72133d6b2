/** Tries failing endpoints in the background until one connects again, so that no request has to wait to find out. */
import { connect } from 'node:net';
import type { HealthMarks } from '../shared/meters.ts';

const SCAN_MS = 200;
const FIRST_MS = 1000;
const LAST_MS = 10_000;

export interface ProbeTarget {
  readonly slot: number;
  readonly address: string;
  readonly port: number;
}

interface Probe {
  /** Wall clock ms of the next try. */
  next: number;
  wait: number;
  underway: boolean;
}

export class Prober {
  readonly #health: HealthMarks;
  readonly #targetAt: (slot: number) => ProbeTarget | undefined;
  readonly #timeout: number;
  readonly #clock: () => number;
  readonly #probes = new Map<number, Probe>();
  readonly #timer: NodeJS.Timeout;

  /** `targetAt`: undefined for slots of no pool's endpoint; `timeout`: ms for one connect. */
  constructor(
    health: HealthMarks,
    targetAt: (slot: number) => ProbeTarget | undefined,
    timeout: number,
    clock: () => number,
  ) {
    this.#health = health;
    this.#targetAt = targetAt;
    this.#timeout = timeout;
    this.#clock = clock;
    this.#timer = setInterval(() => {
      this.scan();
    }, SCAN_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  scan(): void {
    const now = this.#clock();
    const failing = new Set<number>();
    for (const slot of this.#health.failing()) {
      const target = this.#targetAt(slot);
      if (target === undefined) continue;
      failing.add(slot);
      const probe = this.#probes.get(slot) ?? { next: now + FIRST_MS, wait: FIRST_MS, underway: false };
      this.#probes.set(slot, probe);
      if (!probe.underway && now >= probe.next) this.#try(target, probe);
    }
    for (const slot of this.#probes.keys()) if (!failing.has(slot)) this.#probes.delete(slot);
  }

  #try(target: ProbeTarget, probe: Probe): void {
    probe.underway = true;
    const socket = connect({ host: target.address, port: target.port, timeout: this.#timeout });
    const done = () => {
      probe.underway = false;
      probe.wait = Math.min(probe.wait * 2, LAST_MS);
      probe.next = this.#clock() + probe.wait;
      socket.destroy();
    };
    socket.once('connect', () => {
      this.#health.worked(target.slot);
      done();
    });
    socket.once('timeout', done);
    socket.once('error', done);
  }
}
