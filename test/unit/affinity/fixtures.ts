/** Real policies, pools, keys and requests for the affinity tests; plain arrays stand for the shared memory. */
import { buildAffinity } from '../../../src/affinity/build.ts';
import type { LiveAffinity } from '../../../src/affinity/build.ts';
import { decide } from '../../../src/affinity/decide.ts';
import type { DecideEnv } from '../../../src/affinity/env.ts';
import { Decision } from '../../../src/affinity/decision.ts';
import { issueToken } from '../../../src/affinity/issue.ts';
import type { ResponseFacts } from '../../../src/affinity/issue.ts';
import { KeyRing } from '../../../src/affinity/keyring.ts';
import type { SessionKey } from '../../../src/affinity/keyring.ts';
import { Overrides } from '../../../src/affinity/overrides.ts';
import { seedsOf } from '../../../src/affinity/rendezvous.ts';
import { TokenMemo } from '../../../src/affinity/token-memo.ts';
import { NO_TLS } from '../../../src/model/facts.ts';
import type { RequestFacts } from '../../../src/model/facts.ts';
import { DRAINING, NOT_READY, READY } from '../../../src/model/live.ts';
import type { IdentityView, LivePool, Meters, Sessions } from '../../../src/model/live.ts';
import { isTokenCookie } from '../../../src/model/policy.ts';
import type { CompiledAffinity, CompiledPolicy, CompiledRule } from '../../../src/model/policy.ts';
import type { Rule } from '../../../src/model/sticky-policy.ts';
import { compileRe2 } from '../../../src/rules/re2.ts';
import { compileRuleKey } from '../../../src/rules/rules.ts';

export const NOW = Date.UTC(2030, 0, 1);
export const HOUR = 3_600_000;

export function key(id: number, issueFrom = 0): SessionKey {
  return { id, key: new Uint8Array(32).fill(id + 1), issueFrom };
}

export const KEYS = KeyRing.from([key(0)]);

export interface TestEndpoint {
  readonly id: string;
  readonly state?: 'Ready' | 'Draining' | 'NotReady';
  readonly since?: number;
  /** Default true. */
  readonly wasReady?: boolean;
  readonly address?: string;
  readonly version?: string;
}

const STATES = { Ready: READY, Draining: DRAINING, NotReady: NOT_READY };
const slots = new Map<string, number>();

/** A slot for each endpoint id, the same in every pool. */
export function slotOf(id: string): number {
  let slot = slots.get(id);
  if (slot === undefined) slots.set(id, (slot = slots.size + 1));
  return slot;
}

export function pool(list: readonly (string | TestEndpoint)[], keys = KEYS, service = 'web'): LivePool {
  const all = list.map((item) => (typeof item === 'string' ? { id: item } : item));
  const endpoints = all.map((item, i) => ({
    slot: slotOf(item.id),
    ref: slotOf(item.id),
    address: item.address ?? `10.0.0.${i + 1}`,
    port: 8080,
    service: { namespace: 'shop', name: service, protocol: 'HTTP' as const },
    pod: item.id,
    version: item.version,
    state: STATES[item.state ?? 'Ready'],
    since: item.since ?? NOW - HOUR,
    wasReady: item.wasReady ?? true,
  }));
  const indices = (state: number) => Int32Array.from(endpoints.flatMap((e, i) => (e.state === state ? [i] : [])));
  const view = identityView(
    all.map((item) => `uid:${item.id}`),
    keys,
  );
  return {
    key: `shop/${service}:80`,
    slot: 0,
    namespace: 'shop',
    service,
    port: 80,
    endpoints,
    ready: indices(READY),
    draining: indices(DRAINING),
    identity: { PodUID: view, PodName: view, Address: view },
    firstSeen: 0,
    left: new Map(),
  };
}

function identityView(identities: readonly string[], keys: KeyRing): IdentityView {
  const prefixes = new Map(
    keys.ids.map((id) => [id, identities.map((text) => keys.endpointPrefix(id, text))] as const),
  );
  const byPrefix = new Map([...prefixes.values()].flatMap((list) => list.map((prefix, i) => [prefix, i] as const)));
  return { seeds: Int32Array.from(identities.flatMap((text) => seedsOf(text))), byPrefix, prefixes };
}

export type TestRule = Rule & { readonly name: string };

function policy(rules: readonly TestRule[], changes: Partial<CompiledPolicy> = {}): CompiledPolicy {
  return {
    id: 'shop/policy',
    namespace: 'shop',
    name: 'policy',
    group: undefined,
    stickTo: 'Pod',
    identity: 'PodUID',
    idleTimeout: 0,
    absoluteTimeout: 0,
    rules: rules.map((rule): CompiledRule => ({
      name: rule.name,
      when: rule.when,
      onMissing: rule.onMissing ?? 'Next',
      force: rule.force ?? false,
      key: compileRuleKey(rule, changes.idleTimeout),
    })),
    algorithm: 'LeastRequests',
    slowStart: 0,
    maxSessionsPerEndpoint: 0,
    onFull: 'Overflow',
    lost: { action: 'Reassign', statusCode: 503, notReadyGrace: 3000, goneGrace: 0, preferVersion: 'Any' },
    drain: { action: 'Keep', maxDuration: 0 },
    retry: { attempts: 2, changeOnFailure: true },
    ...changes,
  };
}

export const COOKIE: TestRule = { name: 'browsers', cookie: { name: 'HF' } };

export function affinity(
  rules: readonly TestRule[] = [COOKIE],
  changes: Partial<CompiledPolicy> = {},
  own: Partial<CompiledAffinity> = {},
): LiveAffinity {
  const compiled = policy(rules, changes);
  const scope = own.scope ?? 'shop/policy/web';
  const grouped = compiled.group !== undefined;
  const cookieNames = compiled.rules.map((rule) =>
    isTokenCookie(rule.key)
      ? {
          issue: rule.key.name ?? 'hf-00000000',
          read: [rule.key.name ?? 'hf-00000000'],
          own: grouped ? `${rule.key.name ?? 'hf'}-${own.service ?? 'web'}` : undefined,
        }
      : undefined,
  );
  const siblingCookies: readonly string[] = [];
  const ids = { id: 'a', policy: compiled.id, service: 'web', scope, ownScope: scope };
  const text = { ...ids, groupPools: [], cookieNames, siblingCookies };
  return buildAffinity(compiled, { ...text, ...own }, compileRe2, () => undefined);
}

export function facts(
  changes: Partial<RequestFacts> & { readonly head?: Readonly<Record<string, string>> } = {},
): RequestFacts {
  const head = changes.head ?? {};
  return {
    method: 'GET',
    host: 'shop.example',
    path: '/',
    query: '',
    cookie: '',
    clientAddress: '192.0.2.1',
    scheme: 'http',
    port: 80,
    tls: NO_TLS,
    header: (name) => head[name],
    headers: (name) => (head[name] === undefined ? [] : [head[name]]),
    ...changes,
  };
}

class TestMeters implements Meters {
  readonly flying = new Map<number, number>();
  readonly failing = new Map<number, number>();
  readonly chosen = new Map<number, number>();
  readonly holding = new Map<number, number>();
  readonly slowness = new Map<number, number>();
  #clock = 0;
  #turn = 0;
  inFlight(slot: number): number {
    return this.flying.get(slot) ?? 0;
  }
  sessions(slot: number): number {
    return this.holding.get(slot) ?? 0;
  }
  lastChosen(slot: number): number {
    return this.chosen.get(slot) ?? 0;
  }
  markChosen(slot: number): void {
    this.chosen.set(slot, ++this.#clock);
  }
  nextTurn(): number {
    return this.#turn++;
  }
  latency(slot: number): number {
    return this.slowness.get(slot) ?? 0;
  }
  failingSince(slot: number): number {
    return this.failing.get(slot) ?? 0;
  }
}

/** A session table that has seen nobody. */
const NO_SESSIONS: Sessions = { find: () => false };

/** A small seeded generator (xorshift32), so that every failure can be repeated. */
export function seeded(seed = 1): () => number {
  let x = seed | 1;
  return () => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    return x >>> 0;
  };
}

export type TestEnv = Omit<DecideEnv, 'meters'> & { readonly meters: TestMeters };

export function env(changes: Partial<TestEnv> = {}): TestEnv {
  return {
    now: NOW,
    random: seeded(),
    meters: new TestMeters(),
    sessions: NO_SESSIONS,
    keys: KEYS,
    replicas: 1,
    overrides: new Overrides(),
    takeMove: () => true,
    memo: new TokenMemo(64),
    poolOf: () => undefined,
    placeOf: () => undefined,
    formerPrefix: () => undefined,
    ...changes,
  };
}

export interface Answer {
  readonly pod: string;
  readonly verdict: string;
  readonly rule: number;
  readonly status: number;
  readonly setCookie: string | undefined;
  readonly markPrivate: boolean;
  readonly d: Decision;
}

export const OK: ResponseFacts = { status: 200, cacheable: false, setCookieNames: () => [] };

/** One request decided on a fresh connection (or `d`'s), and the Set-Cookie of its answer. */
export function ask(
  live: LiveAffinity | undefined,
  target: LivePool,
  request: RequestFacts,
  on: DecideEnv = env(),
  response = OK,
  d = new Decision(),
): Answer {
  d.begin();
  return again(d, live, target, request, on, response);
}

/** Decides the same request once more. */
export function again(
  d: Decision,
  live: LiveAffinity | undefined,
  target: LivePool,
  request: RequestFacts,
  on: DecideEnv,
  response = OK,
): Answer {
  decide(d, live, target, request, on);
  return {
    pod: target.endpoints[d.endpoint]?.pod ?? '',
    verdict: `${d.outcomeName} ${d.reasonName}`,
    rule: d.rule,
    status: d.status,
    ...issueToken(d, live, target, request, response, on),
    d,
  };
}

/** `name=value` of a Set-Cookie value. */
export function pair(setCookie: string | undefined): string {
  if (setCookie === undefined) throw new Error('expected a Set-Cookie');
  return setCookie.slice(0, setCookie.indexOf(';'));
}

/** A Cookie value whose token names `pod`. */
export function sessionOn(live: LiveAffinity, pod: string, on: DecideEnv = env(), keys = on.keys): string {
  return pair(ask(live, pool([pod], keys), facts(), on).setCookie);
}
