/** Lists, moves and ends sessions, over all replicas. */
import { setTimeout as pause } from 'node:timers/promises';
import type {
  Refusal,
  SessionAdmin,
  SessionChange,
  SessionInfo,
  SessionListing,
  SessionQuery,
} from '../admin/types.ts';
import { entryScope, fingerprint } from '../affinity/entry.ts';
import type { KeyRing } from '../affinity/keyring.ts';
import { TOKEN_LENGTH, verifyToken } from '../affinity/token.ts';
import { poolKey, type PoolKey } from '../model/ids.ts';
import { AUTHORITATIVE, OBSERVED, READY } from '../model/live.ts';
import type { SessionRegion } from '../model/live.ts';
import type { PoolData } from '../shared/messages.ts';
import { policySlotKey } from '../shared/slot-keys.ts';
import type { ReplicaCalls } from './replica-calls.ts';
import { idOf, mergeListings, wordsOf } from './session-list.ts';
import type { Owner, Owners } from './session-list.ts';
import { readListing, readOrders } from './session-messages.ts';
import { MAX_OVERRIDES } from './session-orders.ts';
import type { OrderSink, SessionOrder, SessionOrders } from './session-orders.ts';

export interface SessionAdminOptions {
  readonly orders: SessionOrders;
  readonly calls: ReplicaCalls;
  readonly sinks: readonly OrderSink[];
  readonly here: (query: SessionQuery) => SessionListing;
  readonly owners: () => Owners;
  readonly pools: () => Iterable<PoolData>;
  readonly keys: () => KeyRing;
  readonly clock: () => number;
  /** Resolves when every worker has what was published. */
  readonly live: () => Promise<void>;
}

const DAY = 24 * 3600_000;
/** A worker that is being replaced gets everything when it starts: it is not waited for. */
const LIVE_MS = 2000;
const PATH = '/api/v1/sessions';

type Owned = readonly [Owner, ...Owner[]];

interface Found {
  readonly high: number;
  readonly low: number;
  readonly region: SessionRegion;
  readonly owners: Owned;
}

interface Target {
  readonly pool: PoolKey;
  readonly prefix: string;
  readonly pod: string;
}

export class Sessions implements SessionAdmin {
  readonly #options: SessionAdminOptions;

  constructor(options: SessionAdminOptions) {
    this.#options = options;
  }

  here = (query: SessionQuery): SessionListing => this.#options.here(query);

  async list(query: SessionQuery): Promise<SessionListing> {
    const own = this.here(query);
    const { calls } = this.#options;
    if (calls.alone) return own;
    const given = Object.entries({ ...query, limit: String(query.limit) }).filter(([, value]) => value !== undefined);
    const text = new URLSearchParams([...(given as [string, string][]), ['local', '1']]).toString();
    const { asked, answers } = await calls.ask({ target: `${PATH}?${text}` });
    const others = answers.map(readListing).filter((listing) => listing !== undefined);
    return { ...mergeListings([own, ...others], query.limit), replicas: { asked, answered: others.length } };
  }

  async show(session: string): Promise<SessionInfo | Refusal> {
    const found = await this.#find(session);
    if ('error' in found) return found;
    const { sessions } = await this.list({ id: idOf(found), limit: 1 });
    return sessions[0] ?? unknown(idOf(found));
  }

  async change(session: string, to: string | undefined): Promise<SessionChange | Refusal> {
    const { orders, sinks, clock, live } = this.#options;
    const found = await this.#find(session);
    if ('error' in found) return found;
    const target = to === undefined ? undefined : this.#target(to, found.owners);
    if (target !== undefined && 'error' in target) return target;
    const { high, low, region } = found;
    const now = clock();
    const until = now + (Math.max(...found.owners.map(({ policy }) => policy.absoluteTimeout)) || DAY);
    const [{ policy }] = found.owners;
    const named = { policy: policySlotKey(policy.namespace, policy.name), to: target?.prefix, pool: target?.pool };
    const order = { high, low, region, from: now, until, ...named };
    if (!orders.obey([order])) {
      const error = `${MAX_OVERRIDES} sessions have been moved or ended lately, and no more can be remembered; try again later`;
      return { status: 503, error };
    }
    const told = await Promise.all(sinks.map((sink) => sink.send(order)));
    await Promise.race([live(), pause(LIVE_MS, undefined, { ref: false })]);
    const sum = (read: (one: (typeof told)[number]) => number): number => told.reduce((all, one) => all + read(one), 0);
    return {
      id: idOf(found),
      to: target?.pod,
      until,
      told: { asked: sum(({ asked }) => asked), answered: sum(({ answered }) => answered) },
    };
  }

  orders = (): readonly SessionOrder[] => this.#options.orders.kept;

  obey = (raw: unknown): Refusal | undefined => {
    const orders = readOrders(raw);
    if (orders === undefined) return { status: 400, error: 'these are no orders about sessions' };
    if (this.#options.orders.obey(orders)) return undefined;
    return { status: 503, error: 'no more sessions that were moved or ended can be remembered here' };
  };

  /** Takes over what the other replicas keep: what was said while this one was not there, or did not hear. Never rejects. */
  async catchUp(): Promise<void> {
    const { answers } = await this.#options.calls.ask({ target: `${PATH}/orders` });
    for (const answer of answers) this.#options.orders.obey(readOrders(answer) ?? []);
  }

  async #find(session: string): Promise<Found | Refusal> {
    const words = wordsOf(session);
    if (words === undefined) return this.#findToken(session);
    const known = (await this.list({ id: session, limit: 1 })).sessions[0];
    if (known === undefined) return unknown(session);
    const region = known.kind === 'key' ? AUTHORITATIVE : OBSERVED;
    const all = [...this.#options.owners().values()].flat();
    const [first, ...more] = all.filter(
      ({ policy }) => policy.namespace === known.namespace && policy.name === known.policy,
    );
    return first === undefined ? unknown(session) : { ...words, region, owners: [first, ...more] };
  }

  /** A token is valid in one scope only; in modes Prefix and Wrap the backend's value follows it. */
  #findToken(value: string): Found | Refusal {
    const text = value.slice(0, TOKEN_LENGTH);
    const { owners, keys, clock } = this.#options;
    const ring = keys();
    for (const [scope, list] of owners()) {
      const token = verifyToken(text, scope, ring, clock());
      if (typeof token === 'string') continue;
      const out = { 0: 0, 1: 0 };
      fingerprint(entryScope(scope), token.sessionHigh, token.sessionLow, out);
      return { high: out[0], low: out[1], region: OBSERVED, owners: list };
    }
    const error =
      'this is neither the id of a session (16 hexadecimal digits, see the list) nor a cookie that is valid here';
    return { status: 400, error };
  }

  #target(to: string, owners: readonly Owner[]): Target | Refusal {
    const [first = '', second] = to.split('/');
    const pod = second ?? first;
    const ready = new Set<string>();
    for (const pool of this.#options.pools()) {
      const owner = owners.find(
        ({ affinity, policy }) => policy.namespace === pool.namespace && affinity.service === pool.service,
      );
      if (owner === undefined) continue;
      for (const [index, endpoint] of pool.endpoints.entries()) {
        if (endpoint.state !== READY) continue;
        ready.add(endpoint.pod);
        const prefix = this.#prefixAt(pool, owner, index);
        if (endpoint.pod !== pod || (second !== undefined && first !== pool.namespace) || prefix === undefined)
          continue;
        const key = poolKey(pool.namespace, pool.service, pool.port);
        return { pool: key, prefix, pod: `${pool.namespace}/${pod}` };
      }
    }
    const names = [...ready].sort().slice(0, 20).join(', ');
    const instead = names === '' ? 'none is Ready now' : `write one of ${names}`;
    return { status: 409, error: `${to} is no Ready pod of this session's Service; ${instead}` };
  }

  #prefixAt(pool: PoolData, { policy }: Owner, index: number): string | undefined {
    const prefixes = new Map(pool.identity[policy.identity]?.prefixes);
    return prefixes.get(this.#options.keys().issuing(this.#options.clock()))?.[index];
  }
}

function unknown(id: string): Refusal {
  return { status: 404, error: `no replica knows the session ${id}: it may be over` };
}

/** Tells the other replicas. */
export function replicaSink(calls: ReplicaCalls): OrderSink {
  return {
    send: async (order) => {
      const { asked, answers } = await calls.ask({ target: `${PATH}/orders`, body: JSON.stringify([order]) });
      return { asked, answered: answers.length };
    },
  };
}
