/** Sessions over weighted backends: which one a session gets, and what it stays at when pods, weights and backends change. */
import { createHash } from 'node:crypto';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, test } from 'vitest';
import { decide } from '../../../src/affinity/decide.ts';
import { Decision } from '../../../src/affinity/decision.ts';
import type { CompiledPolicy } from '../../../src/model/policy.ts';
import type { LivePool } from '../../../src/model/live.ts';
import { JoinedPool } from '../../../src/worker/joined-pool.ts';
import {
  affinity,
  ask,
  COOKIE,
  env,
  facts,
  KEYS,
  NOW,
  pair,
  pool,
  seeded,
  type Answer,
  type TestEndpoint,
} from './fixtures.ts';

type Pods = readonly (string | TestEndpoint)[];

/** Services in order, each with its weight and its pods. */
function joined(backends: Readonly<Record<string, readonly [weight: number, pods: Pods]>>): LivePool {
  const of = Object.entries(backends).map(([service, [weight, pods]]) => ({
    ref: { live: pool(pods, KEYS, service) },
    weight,
  }));
  return new JoinedPool(of, () => KEYS).live;
}

const BLUE = ['b1', 'b2', 'b3'] as const;
const GREEN = ['g1', 'g2'] as const;
const pairOf = (blue: number, green: number) => joined({ blue: [blue, BLUE], green: [green, GREEN] });

function sticking(stickTo: CompiledPolicy['stickTo'], changes: Partial<CompiledPolicy> = {}) {
  return affinity([COOKIE], { stickTo, ...changes });
}

/** Cookies of sessions that begin on a pool. */
function begin(live: ReturnType<typeof affinity>, on: LivePool, count: number): { pod: string; cookie: string }[] {
  const surroundings = env({ random: seeded(7) });
  return Array.from({ length: count }, () => {
    const { pod, setCookie } = ask(live, on, facts(), surroundings);
    return { pod, cookie: pair(setCookie) };
  });
}

function md5(text: string): string {
  return createHash('md5').update(text).digest('hex');
}

function share(answers: readonly { readonly pod: string }[], prefix: string): number {
  return answers.filter(({ pod }) => pod.startsWith(prefix)).length / answers.length;
}

describe('new sessions', () => {
  test('90/10 of 4000 within 2 %, evenly over the endpoints of each', () => {
    const sessions = begin(affinity(), pairOf(90, 10), 4000);
    expect(share(sessions, 'g')).toBeGreaterThan(0.08);
    expect(share(sessions, 'g')).toBeLessThan(0.12);
    for (const pod of BLUE) expect(share(sessions, pod)).toBeCloseTo(share(sessions, 'b') / 3, 2);
  });

  test('none for weight 0, whatever the others are like', () => {
    const down = joined({ blue: [0, BLUE], green: [5, ['g1', { id: 'g2', state: 'NotReady' }]] });
    expect(share(begin(affinity(), down, 200), 'g1')).toBe(1);
    const gone = joined({ blue: [0, BLUE], green: [5, []] });
    expect(ask(affinity(), gone, facts())).toMatchObject({ verdict: 'rejected no_endpoints', status: 503 });
  });

  test('a backend without a Ready endpoint leaves its share to the others; a draining one is better than none', () => {
    const draining = { id: 'b1', state: 'Draining' } as const;
    const half = joined({ blue: [90, [draining]], green: [10, GREEN] });
    expect(share(begin(affinity(), half, 100), 'g')).toBe(1);
    const all = joined({ blue: [90, [draining]], green: [10, []] });
    expect(ask(affinity(), all, facts())).toMatchObject({ pod: 'b1', verdict: 'new drain' });
  });

  test('an endpoint that refuses connections, or has its sessions, leaves the share to the others', () => {
    const on = env();
    const slots = pairOf(1, 1)
      .endpoints.filter(({ pod }) => pod.startsWith('b'))
      .map(({ slot }) => slot);
    for (const slot of slots) on.meters.failing.set(slot, NOW - 1);
    expect(Array.from({ length: 50 }, () => ask(affinity(), pairOf(1, 1), facts(), on).pod[0])).not.toContain('b');
    for (const slot of slots) on.meters.failing.delete(slot);
    for (const slot of slots) on.meters.holding.set(slot, 5);
    const capped = affinity([COOKIE], { maxSessionsPerEndpoint: 5 });
    expect(Array.from({ length: 50 }, () => ask(capped, pairOf(1, 1), facts(), on).pod[0])).not.toContain('b');
  });

  test('requests that no session is for are divided, too', () => {
    const answers = Array.from({ length: 1000 }, (_, i) =>
      ask(affinity([{ name: 'free', none: {} }]), pairOf(1, 1), facts(), env({ random: seeded(i * 7919 + 1) })),
    );
    expect(share(answers, 'g')).toBeGreaterThan(0.4);
    expect(share(answers, 'g')).toBeLessThan(0.6);
  });
});

describe('a session', () => {
  const live = affinity();
  const sessions = begin(live, pairOf(50, 50), 60);

  function outcomes(target: LivePool): Answer[] {
    return sessions.map(({ cookie }) => ask(live, target, facts({ cookie })));
  }

  test('stays at its pod, whatever becomes of the weights (T49: weight 0, too)', () => {
    for (const [blue, green] of [
      [100, 1],
      [0, 100],
      [0, 0],
    ] as const) {
      const answers = outcomes(pairOf(blue, green));
      expect(answers.map(({ pod }) => pod)).toEqual(sessions.map(({ pod }) => pod));
      expect(new Set(answers.map(({ verdict }) => verdict))).toEqual(new Set(['kept -']));
      expect(answers.every(({ setCookie }) => setCookie === undefined)).toBe(true);
    }
  });

  test('whose pod is lost stays within its backend, evenly', () => {
    const answers = outcomes(joined({ blue: [50, ['b1', 'b2']], green: [50, ['g1']] }));
    for (const [i, { pod }] of sessions.entries()) expect(answers[i]?.pod[0]).toBe(pod[0]);
    const moved = answers.filter(({ verdict }) => verdict === 'moved endpoint_gone');
    expect(moved).toHaveLength(sessions.filter(({ pod }) => pod === 'b3' || pod === 'g2').length);
  });

  test('T49: whose backend is removed moves once, to the primary one, and stays there', () => {
    const left = joined({ blue: [50, BLUE] });
    for (const [i, answer] of outcomes(left).entries()) {
      const green = sessions[i]?.pod.startsWith('g') === true;
      expect(answer.verdict).toBe(green ? 'moved endpoint_gone' : 'kept -');
      if (!green) continue;
      const cookie = pair(answer.setCookie);
      expect(ask(live, left, facts({ cookie }))).toMatchObject({ pod: answer.pod, verdict: 'kept -' });
      expect(ask(live, pairOf(50, 50), facts({ cookie }))).toMatchObject({ pod: answer.pod, verdict: 'kept -' });
    }
  });

  test('whose backend is removed goes where the weights lead, the same place for all its requests', () => {
    const three = joined({ blue: [0, BLUE], red: [75, ['r1', 'r2']], gold: [25, ['x1']] });
    const many = begin(live, pairOf(0, 100), 2000);
    const answers = many.map(({ cookie }) => ask(live, three, facts({ cookie })));
    expect(share(answers, 'r')).toBeGreaterThan(0.71);
    expect(share(answers, 'r')).toBeLessThan(0.79);
    expect(share(answers, 'b')).toBe(0);
    const again = many.map(({ cookie }) => ask(live, three, facts({ cookie }), env({ random: seeded(99) })));
    expect(again.map(({ pod }) => pod)).toEqual(answers.map(({ pod }) => pod));
  });

  test('whose backend has nobody left goes to another one rather than be refused', () => {
    const answers = outcomes(joined({ blue: [50, BLUE], green: [50, []] }));
    for (const [i, { verdict, pod }] of answers.entries()) {
      expect(pod).toMatch(/^b/);
      expect(verdict).toBe(sessions[i]?.pod.startsWith('g') === true ? 'moved endpoint_gone' : 'kept -');
    }
  });

  test('stays at its pod when its Service takes other pods, as long as one of the Services has it', () => {
    const switched = joined({ blue: [50, GREEN], green: [50, BLUE] });
    expect(outcomes(switched).map(({ pod, verdict }) => `${pod} ${verdict}`)).toEqual(
      sessions.map(({ pod }) => `${pod} kept -`),
    );
    const lost = outcomes(joined({ blue: [50, ['n1', 'n2']], green: [50, ['n1', 'n2']] }));
    expect(new Set(lost.map(({ verdict }) => verdict))).toEqual(new Set(['moved endpoint_gone']));
  });

  test('names its backend, too, where a pod is behind two of them', () => {
    const both = joined({ blue: [0, ['p']], green: [1, ['p', 'q']] });
    const cookie = pair(ask(live, joined({ blue: [0, ['p']], green: [1, ['p']] }), facts()).setCookie);
    const answer = ask(live, both, facts({ cookie }));
    expect(answer).toMatchObject({ pod: 'p', verdict: 'kept -' });
    expect(answer.d.endpoint).toBe(1);
  });

  test('T48: a value as ingress-nginx makes it leads nobody into the canary', () => {
    const accepting = affinity([
      { name: 'browsers', cookie: { name: 'HF', accept: [{ product: 'IngressNginx', name: 'INGRESSCOOKIE' }] } },
    ]);
    const target = joined({
      web: [100, [{ id: 'b1', address: '10.0.0.1' }]],
      canary: [0, [{ id: 'g1', address: '10.0.1.1' }]],
    });
    const nginx = (service: string, address: string) => {
      const name = `shop-${service}-80`;
      return `${md5(name + `${address}:8080`)}|${md5(md5(name) + name)}`;
    };
    const own = ask(accepting, target, facts({ cookie: `INGRESSCOOKIE=${nginx('web', '10.0.0.1')}` }));
    expect(own).toMatchObject({ pod: 'b1', verdict: 'kept accepted_foreign' });
    for (const name of ['INGRESSCOOKIE', 'HF']) {
      const forged = ask(accepting, target, facts({ cookie: `${name}=${nginx('canary', '10.0.1.1')}` }));
      expect(forged).toMatchObject({ pod: 'b1', d: { outcomeName: 'new' } });
    }
  });
});

describe('keys', () => {
  const byUser = affinity([{ name: 'user', header: { name: 'X-User', mode: 'Hash' } }]);
  const users = Array.from({ length: 2000 }, (_, i) => facts({ head: { 'x-user': `user-${i}` } }));
  const podsOn = (target: LivePool) => users.map((user) => ask(byUser, target, user));

  test('are divided by weight, each always to the same endpoint', () => {
    const answers = podsOn(pairOf(70, 30));
    expect(share(answers, 'g')).toBeGreaterThan(0.26);
    expect(share(answers, 'g')).toBeLessThan(0.34);
    expect(podsOn(pairOf(70, 30)).map(({ pod }) => pod)).toEqual(answers.map(({ pod }) => pod));
  });

  test('a change of weights moves no more of them than it must', () => {
    const [before, after] = [podsOn(pairOf(70, 30)), podsOn(pairOf(60, 40))];
    const moved = before.filter(({ pod }, i) => pod !== after[i]?.pod).length;
    expect(moved / users.length).toBeLessThan(0.13);
    expect(before.filter(({ pod }, i) => pod.startsWith('g') && pod !== after[i]?.pod)).toEqual([]);
  });

  test('none goes to weight 0 or to a backend without endpoints', () => {
    expect(share(podsOn(pairOf(1, 0)), 'b')).toBe(1);
    expect(share(podsOn(joined({ blue: [1, []], green: [1, GREEN] })), 'g')).toBe(1);
  });

  test('stickTo Service: only the backend is the key’s', () => {
    const loose = affinity([{ name: 'user', header: { name: 'X-User', mode: 'Hash' } }], { stickTo: 'Service' });
    const on = env();
    for (const user of users.slice(0, 20)) {
      const pods = Array.from({ length: 12 }, () => ask(loose, pairOf(1, 1), user, on).pod);
      expect(new Set(pods).size).toBe(pods[0]?.startsWith('b') === true ? 3 : 2);
      expect(new Set(pods.map((pod) => pod[0])).size).toBe(1);
    }
  });
});

describe('stickTo Service', () => {
  const live = sticking('Service');

  test('T50: the session stays at its backend, and its requests are balanced there', () => {
    const on = env({ random: seeded(5) });
    for (const { pod, cookie } of begin(live, pairOf(50, 50), 20)) {
      const answers = Array.from({ length: 30 }, () => ask(live, pairOf(0, 1), facts({ cookie }), on));
      expect(new Set(answers.map((answer) => answer.pod[0]))).toEqual(new Set([pod[0]]));
      expect(new Set(answers.map((answer) => answer.pod)).size).toBe(pod.startsWith('b') ? 3 : 2);
      expect(new Set(answers.map(({ verdict }) => verdict))).toEqual(new Set(['kept -']));
      expect(answers.every(({ setCookie }) => setCookie === undefined)).toBe(true);
    }
  });

  test('a pod that is lost moves nobody; a backend that is removed moves its sessions once', () => {
    const [session] = begin(live, pairOf(0, 1), 1);
    const { cookie = '' } = session ?? {};
    const other = session?.pod === 'g1' ? 'g2' : 'g1';
    const smaller = joined({ blue: [1, BLUE], green: [0, [other]] });
    expect(ask(live, smaller, facts({ cookie }))).toMatchObject({
      pod: other,
      verdict: 'kept -',
      setCookie: undefined,
    });
    const removed = joined({ blue: [1, BLUE] });
    const moved = ask(live, removed, facts({ cookie }));
    expect(moved.verdict).toBe('moved endpoint_gone');
    expect(ask(live, removed, facts({ cookie: pair(moved.setCookie) })).verdict).toBe('kept -');
  });

  test('of one Service alone every request is balanced', () => {
    const on = env();
    const cookie = pair(ask(live, pool(BLUE), facts(), on).setCookie);
    expect(new Set(BLUE.map(() => ask(live, pool(BLUE), facts({ cookie }), on).pod)).size).toBe(3);
  });
});

describe('stickTo Version', () => {
  const live = sticking('Version');
  const of = (version: string, ...ids: string[]): TestEndpoint[] => ids.map((id) => ({ id, version }));
  const rolling = pool([...of('v1', 'a', 'b', 'c'), ...of('v2', 'x', 'y')]);

  function podsOf(target: LivePool, cookie: string, on = env()): Set<string> {
    return new Set(Array.from({ length: 12 }, () => ask(live, target, facts({ cookie }), on).pod));
  }

  test('requests stay among the endpoints of the session’s version, balanced', () => {
    for (const { pod, cookie } of begin(live, rolling, 20)) {
      expect([...podsOf(rolling, cookie)].sort()).toEqual('abc'.includes(pod) ? ['a', 'b', 'c'] : ['x', 'y']);
    }
  });

  test('a pod that is lost moves nobody while its version is there; then the session moves once', () => {
    const cookie = pair(ask(live, pool(of('v1', 'a')), facts()).setCookie);
    const rest = pool([...of('v1', 'b'), ...of('v2', 'x', 'y')]);
    expect(ask(live, rest, facts({ cookie }))).toMatchObject({ pod: 'b', verdict: 'kept -', setCookie: undefined });
    const done = pool(of('v2', 'x', 'y'));
    const moved = ask(live, done, facts({ cookie }));
    expect(moved.verdict).toBe('moved endpoint_gone');
    expect([...podsOf(done, pair(moved.setCookie))].sort()).toEqual(['x', 'y']);
  });

  test('a version that drains keeps its sessions, unless the policy says otherwise', () => {
    const cookie = pair(ask(live, pool(of('v1', 'a')), facts()).setCookie);
    const draining = pool([
      { id: 'a', version: 'v1', state: 'Draining' },
      { id: 'b', version: 'v1', state: 'Draining' },
      ...of('v2', 'x'),
    ]);
    expect([...podsOf(draining, cookie)].sort()).toEqual(['a', 'b']);
    const moving = sticking('Version', { drain: { action: 'Move', maxDuration: 0 } });
    expect(ask(moving, draining, facts({ cookie }))).toMatchObject({ pod: 'x', verdict: 'moved drain' });
  });

  test('an unknown version: as stickTo Pod, and the token is written anew once it is known', () => {
    const cookie = pair(ask(live, pool(['a', 'b', 'c']), facts()).setCookie);
    const { size } = podsOf(pool(['a', 'b', 'c']), cookie);
    expect(size).toBe(1);
    expect(ask(live, pool(of('v1', 'a', 'b', 'c')), facts({ cookie })).setCookie).toBeDefined();
  });

  test('among weighted backends it is the version at the session’s backend', () => {
    const target = joined({
      blue: [1, of('v1', 'b1', 'b2')],
      green: [1, [...of('v1', 'g1', 'g2'), ...of('v2', 'g3')]],
    });
    const cookie = pair(ask(live, joined({ blue: [0, []], green: [1, of('v1', 'g1')] }), facts()).setCookie);
    expect([...podsOf(target, cookie)].sort()).toEqual(['g1', 'g2']);
  });

  test('`force` stays at the pod', () => {
    const forced = affinity([{ ...COOKIE, force: true }], { stickTo: 'Version' });
    const cookie = pair(ask(forced, pool(of('v1', 'a')), facts()).setCookie);
    const on = env();
    const answers = Array.from({ length: 6 }, () => ask(forced, rolling, facts({ cookie }), on).pod);
    expect(new Set(answers)).toEqual(new Set(['a']));
  });
});

test('a rule without a key finds no session; onMissing says what becomes of its requests', () => {
  const when = { pathPrefixes: ['/admin'] };
  const of = (onMissing: 'Next' | 'Balance' | 'Reject') => affinity([{ name: 'admin', when, onMissing }, COOKIE]);
  const admin = facts({ path: '/admin/x' });
  expect(ask(of('Next'), pool(['a']), admin)).toMatchObject({ verdict: 'new no_token', rule: 1 });
  expect(ask(of('Balance'), pool(['a']), admin)).toMatchObject({ verdict: 'stateless -', rule: 0 });
  expect(ask(of('Reject'), pool(['a']), admin)).toMatchObject({ verdict: 'rejected missing_key', status: 400 });
  expect(ask(of('Reject'), pool(['a']), facts())).toMatchObject({ verdict: 'new no_token' });
});

describe('a joined pool', () => {
  test('is made once, and again when one of its pools is replaced', () => {
    const [blue, green] = [{ live: pool(BLUE, KEYS, 'blue') }, { live: pool(GREEN, KEYS, 'green') }];
    const of = [
      { ref: blue, weight: 1 },
      { ref: green, weight: 1 },
    ];
    const ref = new JoinedPool(of, () => KEYS);
    const first = ref.live;
    expect(ref.live).toBe(first);
    green.live = pool(['g9'], KEYS, 'green');
    expect(ref.live).not.toBe(first);
    expect(ref.live.endpoints.map(({ pod }) => pod)).toEqual([...BLUE, 'g9']);
    expect(ref.live).toBe(ref.live);
  });

  test('of nothing has no endpoints', () => {
    expect(new JoinedPool([], () => KEYS).live).toMatchObject({ endpoints: [], parts: [] });
  });
});

test('nothing is allocated per request for endpoints × backends', () => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const pods = (service: number) => Array.from({ length: 50 }, (_, i) => `p${service}-${i}`);
  const many = joined(
    Object.fromEntries(Array.from({ length: 8 }, (_, service) => [`s${service}`, [1, pods(service)] as const])),
  );
  const live = sticking('Service');
  const on = env();
  const d = new Decision();
  const requests = [facts(), facts({ cookie: pair(ask(live, many, facts(), on).setCookie) })];
  const run = (count: number) => {
    for (let i = 0; i < count; i++) {
      for (const request of requests) {
        d.begin();
        decide(d, live, many, request, on);
      }
    }
  };
  run(2000);
  collect();
  const before = process.memoryUsage().heapUsed;
  run(1000);
  // One array of the 400 endpoints alone would take 1600 bytes.
  expect((process.memoryUsage().heapUsed - before) / 2000).toBeLessThan(800);
});
