/** Which replica writes: a Lease of coordination.k8s.io/v1, held the way client-go's leader election holds one. Serving needs no leader. */
import type { ObjectName } from '../config/config.ts';
import type { KubeApi, KubeResponse } from '../source/kubernetes/client.ts';
import type { Clock } from '../store/hold-off.ts';
import type { Logger } from '../telemetry/logger.ts';
import { guarded } from './guarded.ts';

/** Durations are ms; the defaults are client-go's. */
export interface LeaderOptions {
  readonly api: Pick<KubeApi, 'request'>;
  readonly lease: ObjectName;
  /** Unique among the replicas, also over restarts. */
  readonly identity: string;
  readonly clock: Clock;
  readonly random: () => number;
  readonly logger: Logger;
  /** Called with true when the lease is ours, with false when it is no longer. */
  readonly onChange: (leading: boolean) => void;
  /** Others take over when the record has not changed for this long. */
  readonly leaseDuration?: number;
  /** A leader that could not renew for this long gives up by itself; less than the lease's duration. */
  readonly renewDeadline?: number;
  readonly retryPeriod?: number;
}

interface LeaseRecord {
  readonly holder: string;
  readonly acquireTime: string;
  readonly transitions: number;
  readonly durationSeconds: number;
}

interface Observed {
  /** The object as last read or written. */
  readonly raw: Readonly<Record<string, unknown>>;
  readonly text: string;
  readonly record: LeaseRecord;
  /** When this record was first seen here: the clocks of other machines are not trusted. */
  readonly at: number;
}

/** client-go's JitterFactor: candidates do not knock in step. */
const JITTER = 1.2;
const RELEASE_TRIES = 3;

export class Leader {
  readonly #options: LeaderOptions;
  readonly #leaseDuration: number;
  readonly #renewDeadline: number;
  readonly #retryPeriod: number;
  #observed: Observed | undefined;
  #leading = false;
  #renewedAt = 0;
  #timer: unknown;
  #retired = false;
  #stopped = false;
  #complaint = '';
  #round: Promise<void> = Promise.resolve();
  #abort = new AbortController();

  constructor(options: LeaderOptions) {
    this.#options = options;
    this.#leaseDuration = options.leaseDuration ?? 15_000;
    this.#renewDeadline = options.renewDeadline ?? 10_000;
    this.#retryPeriod = options.retryPeriod ?? 2_000;
  }

  /** Also false while a request hangs so long that another replica may have taken over. */
  get leading(): boolean {
    return this.#leading && this.#options.clock.now() - this.#renewedAt < this.#renewDeadline;
  }

  start(): void {
    this.#round = this.#tick();
  }

  /** Does not take the lead any more, for it will end soon; who has it keeps it until `stop`. */
  retire(): void {
    this.#retired = true;
  }

  /** Gives the lease back, so that another replica need not wait until it runs out. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#options.clock.clearTimeout(this.#timer);
    this.#abort.abort();
    await this.#round;
    const held = this.#leading;
    this.#set(false);
    if (held) await this.#release();
  }

  async #tick(): Promise<void> {
    if (this.#retired && !this.#leading) return;
    const { clock, random } = this.#options;
    const asked = clock.now();
    const held = await this.#attempt();
    if (held) {
      // Who asked `leading` since it lapsed was told no and has dropped its work: it is told anew.
      if (this.#leading && !this.leading) this.#set(false);
      // From before the request: the others count from the moment they see it, which is later.
      this.#renewedAt = asked;
      this.#set(true);
    } else if (this.#leading && (this.#heldByAnother() || clock.now() - this.#renewedAt >= this.#renewDeadline)) {
      this.#set(false);
    }
    if (this.#stopped) return;
    const wait = this.#leading ? this.#retryPeriod : this.#retryPeriod * (1 + random() * JITTER);
    this.#timer = clock.setTimeout(() => {
      this.#round = this.#tick();
    }, wait);
  }

  #heldByAnother(): boolean {
    return this.#observed !== undefined && this.#observed.record.holder !== this.#options.identity;
  }

  /** Whether the lease is ours now. Never rejects: an API server that is away is an attempt that failed. */
  async #attempt(): Promise<boolean> {
    this.#abort = new AbortController();
    const tooLate = setTimeout(() => this.#abort.abort(), this.#renewDeadline / 2);
    try {
      const held = await this.#acquireOrRenew();
      this.#complaint = '';
      return held;
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      if (!this.#stopped && message !== this.#complaint)
        this.#options.logger.warn({ err: error }, 'the lease of the leader could not be had');
      this.#complaint = message;
      return false;
    } finally {
      clearTimeout(tooLate);
    }
  }

  async #acquireOrRenew(): Promise<boolean> {
    const { clock, identity } = this.#options;
    // A leader knows its lease: one request is enough, unless somebody else has written it.
    if (this.#leading && this.#observed?.record.holder === identity) {
      if (await this.#put(this.#observed, this.#renewed(this.#observed.record))) return true;
    }
    const read = await this.#request('GET');
    if (read.status === 404) return await this.#create();
    expectOk(read, 'read');
    this.#observe(read.json() as Record<string, unknown>);
    const seen = this.#observed;
    if (seen === undefined) return false;
    const { holder } = seen.record;
    if (holder !== '' && holder !== identity && clock.now() < seen.at + seen.record.durationSeconds * 1000)
      return false;
    return await this.#put(seen, holder === identity ? this.#renewed(seen.record) : this.#taken(seen.record));
  }

  #renewed({ acquireTime, transitions }: LeaseRecord): LeaseRecord {
    return { holder: this.#options.identity, acquireTime, transitions, durationSeconds: this.#leaseDuration / 1000 };
  }

  #taken({ transitions }: LeaseRecord): LeaseRecord {
    return this.#renewed({ ...NOBODY, acquireTime: this.#now(), transitions: transitions + 1 });
  }

  async #create(): Promise<boolean> {
    const { namespace, name } = this.#options.lease;
    const body = leaseObject(
      { metadata: { namespace, name } },
      this.#renewed({ ...NOBODY, acquireTime: this.#now() }),
      this.#now(),
    );
    const answer = await this.#request('POST', body);
    // Another candidate was faster.
    if (answer.status === 409) return false;
    expectOk(answer, 'created');
    this.#observe(answer.json() as Record<string, unknown>);
    return true;
  }

  /** False = somebody has written it since it was read. */
  async #put(seen: Observed, record: LeaseRecord): Promise<boolean> {
    const answer = await this.#request('PUT', leaseObject(seen.raw, record, this.#now()));
    if (answer.status === 409 || answer.status === 404) return false;
    expectOk(answer, 'written');
    this.#observe(answer.json() as Record<string, unknown>);
    return true;
  }

  /** Reads it first: a renewal that was cut off may have been written all the same. */
  async #release(): Promise<void> {
    const signal = AbortSignal.timeout(this.#retryPeriod);
    try {
      for (let tried = 0; tried < RELEASE_TRIES; tried++) {
        const read = await this.#send('GET', undefined, signal);
        expectOk(read, 'read');
        const raw = read.json() as Record<string, unknown>;
        const record = recordOf(raw);
        if (record.holder !== this.#options.identity) return;
        const body = leaseObject(raw, { ...record, holder: '', durationSeconds: 1 }, this.#now());
        const answer = await this.#send('PUT', body, signal);
        if (answer.status === 409) continue;
        expectOk(answer, 'given back');
        return;
      }
    } catch (error) {
      this.#options.logger.warn({ err: error }, 'the lease of the leader could not be given back; it runs out');
    }
  }

  async #request(method: string, body?: unknown): Promise<KubeResponse> {
    return await this.#send(method, body, this.#abort.signal);
  }

  async #send(method: string, body: unknown, signal: AbortSignal): Promise<KubeResponse> {
    const { api, lease } = this.#options;
    const list = `/apis/coordination.k8s.io/v1/namespaces/${lease.namespace}/leases`;
    const path = method === 'POST' ? list : `${list}/${lease.name}`;
    return await api.request(method, path, { signal, ...(body === undefined ? {} : { body }) });
  }

  #observe(raw: Record<string, unknown>): void {
    const record = recordOf(raw);
    const text = JSON.stringify(raw['spec'] ?? {});
    const same = this.#observed?.text === text;
    this.#observed = {
      raw,
      text,
      record,
      at: same && this.#observed !== undefined ? this.#observed.at : this.#options.clock.now(),
    };
  }

  #set(leading: boolean): void {
    if (this.#leading === leading) return;
    this.#leading = leading;
    const { lease, identity, logger } = this.#options;
    logger.info(
      { lease: `${lease.namespace}/${lease.name}`, identity },
      leading ? 'leading: this replica writes' : 'no longer leading',
    );
    // Renewals go on whatever becomes of it.
    guarded(logger, 'taking over or giving up the lead', () => this.#options.onChange(leading));
  }

  /** MicroTime, as the API wants it. */
  #now(): string {
    return new Date(this.#options.clock.now()).toISOString().replace('Z', '000Z');
  }
}

const NOBODY: LeaseRecord = { holder: '', acquireTime: '', transitions: 0, durationSeconds: 0 };

function recordOf(raw: Record<string, unknown>): LeaseRecord {
  const spec = (raw['spec'] ?? {}) as Record<string, unknown>;
  const { holderIdentity, acquireTime, leaseTransitions, leaseDurationSeconds } = spec;
  return {
    holder: typeof holderIdentity === 'string' ? holderIdentity : '',
    acquireTime: typeof acquireTime === 'string' ? acquireTime : '',
    transitions: typeof leaseTransitions === 'number' ? leaseTransitions : 0,
    durationSeconds: typeof leaseDurationSeconds === 'number' ? leaseDurationSeconds : 0,
  };
}

/** Keeps what others put there (labels, annotations) and the resourceVersion, by which a concurrent write is noticed. */
function leaseObject(raw: Readonly<Record<string, unknown>>, record: LeaseRecord, now: string): unknown {
  const spec = {
    holderIdentity: record.holder,
    leaseDurationSeconds: record.durationSeconds,
    acquireTime: record.acquireTime === '' ? now : record.acquireTime,
    renewTime: now,
    leaseTransitions: record.transitions,
  };
  return { ...raw, apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', spec };
}

function expectOk({ status, text }: KubeResponse, what: string): void {
  if (status >= 200 && status < 300) return;
  throw new Error(`the Lease could not be ${what}: the API server answered ${status}: ${text.slice(0, 300)}`);
}
