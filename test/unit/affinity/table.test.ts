/** Tests of modes Table and Learn: keys whose endpoint only the session table knows. */
import { describe, expect, test } from 'vitest';
import type { LiveAffinity } from '../../../src/affinity/build.ts';
import { Decision } from '../../../src/affinity/decision.ts';
import { readLearned } from '../../../src/affinity/learn.ts';
import { ABSENT, AUTHORITATIVE } from '../../../src/model/live.ts';
import type { LivePool } from '../../../src/model/live.ts';
import type { CompiledPolicy } from '../../../src/model/policy.ts';
import { Block, createChunk } from '../../../src/shared/cells.ts';
import { createSessionMemory, MAIN_THREAD } from '../../../src/shared/session-entries.ts';
import { SessionSweep } from '../../../src/shared/session-sweep.ts';
import { LOST, SessionTable } from '../../../src/shared/session-table.ts';
import type { Answer, TestEndpoint, TestEnv, TestRule } from './fixtures.ts';
import { affinity, again, ask, COOKIE, env, facts, HOUR, NOW, pool, seeded, slotOf } from './fixtures.ts';

const ABC = ['a', 'b', 'c'];
const MINUTE = 60_000;
const BY_ADDRESS: TestRule = { name: 'clients', sourceIP: { mode: 'Table' } };
const BY_HEADER: TestRule = { name: 'apps', header: { name: 'x-id', mode: 'Table' } };
const LEARNED: TestRule = { name: 'app', cookie: { name: 'JSESSIONID', mode: 'Learn' } };

/** A replica: its session table, and the pools that it knows. */
function replica(rules: readonly TestRule[], changes: Partial<CompiledPolicy> = {}) {
  const live = affinity(rules, changes);
  const counts = new Block('session', 1);
  counts.attach(createChunk('session', 0, 1));
  const memory = createSessionMemory(16_384, NOW);
  const table = new SessionTable(memory, MAIN_THREAD, counts);
  const sweeper = new SessionSweep(memory, counts);
  let pools: readonly LivePool[] = [];
  const on: TestEnv & { now: number } = {
    ...env({ sessions: table, random: seeded(7) }),
    now: NOW,
    poolOf: (key) => pools.find((one) => one.key === key),
    placeOf: (ref) => {
      for (const one of pools) {
        const index = one.endpoints.findIndex((endpoint) => endpoint.ref === ref);
        if (index >= 0) return { pool: one, index };
      }
      return undefined;
    },
  };
  /** What a lane does when the endpoint has been connected to. */
  const reach = (answer: Answer, target: LivePool, use: LiveAffinity = live): number => {
    const { d } = answer;
    const ref = target.endpoints[d.endpoint]?.ref ?? ABSENT;
    if (d.region !== AUTHORITATIVE) return -1;
    const back = d.outcomeName !== 'new';
    expect(use).toBeDefined();
    return table.bind(d.entryHigh, d.entryLow, d.entryScope, d.expected, ref, on.now, d.entryLife, back, d.born);
  };
  const send = (target: LivePool, request: Parameters<typeof facts>[0] = {}, use = live): Answer => {
    pools = [target, ...pools.filter((one) => one.key !== target.key)];
    const answer = ask(use, target, facts(request), on);
    reach(answer, target, use);
    return answer;
  };
  return { live, table, sweeper, on, reach, send, know: (list: readonly LivePool[]) => void (pools = list) };
}

const of = (list: readonly (string | TestEndpoint)[] = ABC) => pool(list);
const from = (clientAddress: string) => ({ clientAddress });
const id = (value: string) => ({ head: { 'x-id': value } });

describe('a key of mode Table', () => {
  test('L1 L2 F3 the algorithm chooses for a client without a record only; it stays while the time runs', () => {
    const { send, on } = replica([BY_ADDRESS], { algorithm: 'RoundRobin' });
    const first = send(of(), from('192.0.2.1'));
    expect(first.verdict).toBe('new -');
    expect(first.d).toMatchObject({ region: AUTHORITATIVE, entryLife: 360_000, extend: 120_000 });
    for (let i = 0; i < 5; i++) {
      expect(send(of(), from('192.0.2.1'))).toMatchObject({ pod: first.pod, verdict: 'kept -' });
      on.now += 5 * MINUTE;
    }
    const others = Array.from({ length: 6 }, (_, i) => send(of(), from(`192.0.2.${i + 2}`)).pod);
    expect(new Set(others)).toEqual(new Set(ABC));
  });

  test('L2 F4 H3 after its idle time a client is new; F4 the time is that between two uses', () => {
    const { send, on } = replica([{ name: 'clients', sourceIP: { mode: 'Table', table: { idleTimeout: '30s' } } }]);
    send(of(), from('192.0.2.1'));
    on.now += 29_000;
    expect(send(of(), from('192.0.2.1')).verdict).toBe('kept -');
    on.now += 31_000;
    expect(send(of(), from('192.0.2.1')).verdict).toBe('new -');
  });

  test("the idle time is the key's own, else the policy's, else 360 s", () => {
    const life = (rule: TestRule, idleTimeout = 0) =>
      replica([rule], { idleTimeout }).send(of(), { ...from('192.0.2.1') }).d.entryLife;
    expect(life(BY_ADDRESS)).toBe(360_000);
    expect(life(BY_ADDRESS, HOUR)).toBe(HOUR);
    expect(life({ name: 'r', sourceIP: { mode: 'Table', table: { idleTimeout: '7s' } } }, HOUR)).toBe(7000);
  });

  test('L14 F3 all clients of a masked network share one record', () => {
    const { send } = replica([{ name: 'nets', sourceIP: { mode: 'Table', ipv4Prefix: 24, ipv6Prefix: 64 } }]);
    const one = send(of(), from('192.0.2.1'));
    expect(send(of(), from('192.0.2.77'))).toMatchObject({ pod: one.pod, verdict: 'kept -' });
    expect(send(of(), from('192.0.3.1')).verdict).toBe('new -');
    const six = send(of(), from('2001:db8::1'));
    expect(send(of(), from('2001:db8::ffff'))).toMatchObject({ pod: six.pod, verdict: 'kept -' });
  });

  test.each([
    ['cookie', { name: 'sid', mode: 'Table' }, { cookie: 'sid=u1' }, { cookie: 'sid=u2' }],
    ['header', { name: 'X-Id', mode: 'Table' }, id('u1'), id('u2')],
    ['query', { name: 'sid', mode: 'Table' }, { query: 'sid=u1' }, { query: 'sid=u2' }],
    ['path', { mode: 'Table', depth: 1 }, { path: '/u1/x' }, { path: '/u2' }],
    ['host', { mode: 'Table' }, { host: 'u1.example' }, { host: 'u2.example' }],
    ['sourceIP', { mode: 'Table' }, from('192.0.2.1'), from('192.0.2.2')],
  ] as const)('F22 H3 by %s', (kind, key, one, other) => {
    const { send } = replica([{ name: 'r', [kind]: key }], { algorithm: 'RoundRobin' });
    const first = send(of(), one);
    expect([first.verdict, send(of(), other).verdict]).toEqual(['new -', 'new -']);
    expect(send(of(), one)).toMatchObject({ pod: first.pod, verdict: 'kept -' });
  });

  test('two workers that insert the same key at once agree on one endpoint', () => {
    const { live, on, reach, know } = replica([BY_HEADER], { algorithm: 'RoundRobin' });
    const target = of();
    know([target]);
    const [one, other] = [new Decision(), new Decision()];
    const first = ask(live, target, facts(id('u')), on, undefined, one);
    const second = ask(live, target, facts(id('u')), on, undefined, other);
    expect([first.verdict, second.verdict]).toEqual(['new -', 'new -']);
    expect(first.pod).not.toBe(second.pod);
    expect(reach(first, target)).not.toBe(LOST);
    expect(reach(second, target)).toBe(LOST);
    const followed = again(other, live, target, facts(id('u')), on);
    expect(followed).toMatchObject({ pod: first.pod, verdict: 'kept -' });
    expect(reach(followed, target)).not.toBe(LOST);
  });

  test('of several movers one wins and the others follow; a mover is not overtaken by what it has not seen', () => {
    const { live, on, reach, send, know } = replica([BY_HEADER]);
    const { pod } = send(of(), id('u'));
    const target = of(ABC.filter((one) => one !== pod));
    know([target]);
    const [one, other] = [new Decision(), new Decision()];
    const first = ask(live, target, facts(id('u')), on, undefined, one);
    const second = ask(live, target, facts(id('u')), on, undefined, other);
    expect([first.verdict, second.verdict]).toEqual(['moved endpoint_gone', 'moved endpoint_gone']);
    // All movers go to the same endpoint anyway; one that cannot reach it tries the next.
    expect(first.pod).toBe(second.pod);
    second.d.tried.push(slotOf(second.pod));
    const third = again(other, live, target, facts(id('u')), on);
    expect(third.pod).not.toBe(first.pod);
    reach(first, target);
    expect(reach(third, target)).toBe(LOST);
    second.d.tried.length = 0;
    expect(again(other, live, target, facts(id('u')), on)).toMatchObject({ pod: first.pod, verdict: 'kept -' });
  });

  test('a key that nobody could connect keeps no endpoint: the next attempt is as new', () => {
    const { live, on, know } = replica([BY_HEADER]);
    const target = of();
    know([target]);
    const d = new Decision();
    const first = ask(live, target, facts(id('u')), on, undefined, d);
    d.tried.push(slotOf(first.pod));
    const second = again(d, live, target, facts(id('u')), on);
    expect(second.verdict).toBe('new -');
    expect(second.pod).not.toBe(first.pod);
  });
});

describe('the endpoint of a key', () => {
  const moved = (changes: Partial<CompiledPolicy>, change: Partial<TestEndpoint>) => {
    const { send, on } = replica([BY_HEADER], changes);
    const { pod } = send(of(), id('u'));
    on.now += 10_000;
    const target = of(ABC.map((one) => (one === pod ? { id: one, since: NOW, ...change } : one)));
    const answer = send(target, id('u'));
    return { stays: answer.pod === pod, verdict: answer.verdict, next: () => send(target, id('u')), answer };
  };

  test('L19 H22 drains: the key stays, unless the policy says that it moves', () => {
    expect(moved({}, { state: 'Draining' })).toMatchObject({ stays: true, verdict: 'kept -' });
    const gone = moved({ drain: { action: 'Move', maxDuration: 0 } }, { state: 'Draining' });
    expect(gone).toMatchObject({ stays: false, verdict: 'moved drain' });
    expect(gone.next()).toMatchObject({ pod: gone.answer.pod, verdict: 'kept -' });
    const late = moved({ drain: { action: 'Keep', maxDuration: 5000 } }, { state: 'Draining' });
    expect(late).toMatchObject({ stays: false, verdict: 'moved drain_timeout' });
  });

  test('is not ready: the key moves after the grace, and does not come back', () => {
    const gone = moved({}, { state: 'NotReady' });
    expect(gone).toMatchObject({ stays: false, verdict: 'moved not_ready' });
    expect(gone.next()).toMatchObject({ pod: gone.answer.pod, verdict: 'kept -' });
    const lost = { action: 'Reassign', statusCode: 503, notReadyGrace: 60_000 } as const;
    expect(moved({ lost: { ...replica([]).live.policy.lost, ...lost } }, { state: 'NotReady' }).stays).toBe(true);
  });

  test('L21 F33 has left: the key moves once, to where every replica would move it', () => {
    const pods = [1, 2].map((seed) => {
      const { send, table, on } = replica([BY_HEADER]);
      const target = of();
      const first = send(target, id('u'));
      // Both replicas are made to have it at the same endpoint.
      table.learn(first.d.entryHigh, first.d.entryLow, first.d.entryScope, slotOf('a'), on.now + seed, HOUR, 0);
      const answer = send(of(['b', 'c']), id('u'));
      expect(answer.verdict).toBe('moved endpoint_gone');
      expect(send(of(['b', 'c']), id('u')).verdict).toBe('kept -');
      return answer.pod;
    });
    expect(pods[0]).toBe(pods[1]);
  });

  test('has left, and its slot with it: the key is still moved, and refused where the policy says so', () => {
    for (const action of ['Reassign', 'Reject'] as const) {
      const base = replica([]).live.policy.lost;
      const { send, sweeper, on } = replica([BY_HEADER], { lost: { ...base, action } });
      const { pod } = send(of(), id('u'));
      sweeper.sweep(on.now, new Set([slotOf(pod)]));
      const answer = send(of(ABC.filter((one) => one !== pod)), id('u'));
      expect(answer.verdict).toBe(action === 'Reject' ? 'rejected endpoint_gone' : 'moved endpoint_gone');
    }
  });

  test('H17 force: whatever its state, and never another one', () => {
    const { send, on } = replica([{ ...BY_HEADER, force: true }]);
    const { pod } = send(of(), id('u'));
    on.now += HOUR / 12;
    const target = of(ABC.map((one) => (one === pod ? { id: one, since: NOW, state: 'NotReady' as const } : one)));
    expect(send(target, id('u'))).toMatchObject({ pod, verdict: 'kept -' });
    expect(send(of(ABC.filter((one) => one !== pod)), id('u')).verdict).toBe('rejected endpoint_gone');
  });

  test('H22 changeOnFailure: false keeps the key where it is, with a 502', () => {
    const { live, on, send, know } = replica([BY_HEADER], { retry: { attempts: 2, changeOnFailure: false } });
    const { pod } = send(of(), id('u'));
    const target = of();
    know([target]);
    const d = new Decision();
    ask(live, target, facts(id('u')), on, undefined, d);
    d.tried.push(slotOf(pod));
    expect(again(d, live, target, facts(id('u')), on)).toMatchObject({
      status: 502,
      verdict: 'rejected connect_failed',
    });
  });
});

describe('limits', () => {
  test('the absolute timeout counts from the first request, however often the key comes', () => {
    const { send, on } = replica([BY_HEADER], { absoluteTimeout: HOUR, algorithm: 'RoundRobin' });
    const { pod } = send(of(), id('u'));
    for (let at = 0; at < 11; at++) {
      on.now += 5 * MINUTE;
      expect(send(of(), id('u'))).toMatchObject({ pod, verdict: 'kept -' });
    }
    on.now += 5.5 * MINUTE;
    expect(send(of(), id('u')).verdict).toBe('new absolute_expired');
    expect(send(of(), id('u')).verdict).toBe('kept -');
  });

  test('L22 F30 full endpoints get no new keys, and keys that are there are not refused', () => {
    const { send, on } = replica([BY_HEADER], { maxSessionsPerEndpoint: 2, onFull: 'Reject' });
    const { pod } = send(of(), id('u'));
    for (const one of ABC) on.meters.holding.set(slotOf(one), 2);
    expect(send(of(), id('v'))).toMatchObject({ status: 503, verdict: 'rejected capacity' });
    expect(send(of(), id('u'))).toMatchObject({ pod, verdict: 'kept -' });
  });

  test('LeastSessions: a new key goes where the fewest are', () => {
    const { send, on } = replica([BY_HEADER], { algorithm: 'LeastSessions' });
    for (const one of ABC) on.meters.holding.set(slotOf(one), one === 'b' ? 1 : 5);
    expect(send(of(), id('v')).pod).toBe('b');
  });
});

describe('with other rules', () => {
  test('F32 a browser gets its cookie though its address chose, and uses it from then on', () => {
    const { send } = replica([COOKIE, BY_ADDRESS], { algorithm: 'RoundRobin' });
    const first = send(of(), from('192.0.2.1'));
    expect(first.verdict).toBe('new -');
    const cookie = first.setCookie?.split(';')[0] ?? '';
    const other = send(of(), { cookie, ...from('198.51.100.9') });
    expect(other).toMatchObject({ pod: first.pod, verdict: 'kept -', rule: 0 });
  });

  test('a missing key goes on to the next rule, is balanced or refused', () => {
    const without = (onMissing: 'Next' | 'Balance' | 'Reject') =>
      replica([{ ...BY_HEADER, onMissing }]).send(of()).verdict;
    expect([without('Next'), without('Balance'), without('Reject')]).toEqual([
      'stateless missing_key',
      'stateless missing_key',
      'rejected missing_key',
    ]);
  });
});

describe('a group', () => {
  const group = (service: string, others: readonly string[]) =>
    affinity(
      [BY_ADDRESS],
      { group: 'checkout' },
      {
        service,
        scope: 'group/shop/checkout',
        ownScope: `policy/shop/p/${service}`,
        groupPools: others.map((one) => `shop/${one}:80`),
      },
    );

  test('L4 L7 F26 one client has one pod in all Services of it; one that lacks the pod remembers its own choice', () => {
    const { send } = replica([BY_ADDRESS]);
    const [web, pay, img] = [group('web', ['pay', 'img']), group('pay', ['web', 'img']), group('img', ['web', 'pay'])];
    const pools = (service: string, pods: readonly string[]) => pool(pods, undefined, service);
    const first = send(pools('web', ABC), from('192.0.2.1'), web);
    expect(send(pools('pay', [...ABC].reverse()), from('192.0.2.1'), pay)).toMatchObject({
      pod: first.pod,
      verdict: 'kept -',
    });
    const own = send(pools('img', ['x', 'y']), from('192.0.2.1'), img);
    expect(own.verdict).toBe('new -');
    expect(send(pools('img', ['x', 'y']), from('192.0.2.1'), img)).toMatchObject({ pod: own.pod, verdict: 'kept -' });
    expect(send(pools('web', ABC), from('192.0.2.1'), web)).toMatchObject({ pod: first.pod, verdict: 'kept -' });
  });

  test('L5 L6 without a group each Service has its own', () => {
    const { send } = replica([BY_ADDRESS]);
    const one = affinity([BY_ADDRESS], {}, { scope: 'policy/shop/p/web', ownScope: 'policy/shop/p/web' });
    const other = affinity([BY_ADDRESS], {}, { scope: 'policy/shop/p/pay', ownScope: 'policy/shop/p/pay' });
    send(pool(ABC), from('192.0.2.1'), one);
    expect(send(pool(['x'], undefined, 'pay'), from('192.0.2.1'), other).verdict).toBe('new -');
  });
});

describe('a key of mode Learn', () => {
  const learn = (one: LiveAffinity, lines: readonly string[], request = facts(), name = 'set-cookie') =>
    readLearned(one.learners, request, { headers: (asked) => (asked === name ? lines : []) }, NOW).map(
      ({ key, ends }) => `${ends ? 'ends' : 'begins'} ${key}`,
    );

  test('that no backend has minted is balanced and stays unbound', () => {
    const { send } = replica([LEARNED], { algorithm: 'RoundRobin' });
    const pods = Array.from({ length: 3 }, () => send(of(), { cookie: 'JSESSIONID=forged' }));
    expect(pods.map(({ verdict }) => verdict)).toEqual(Array.from({ length: 3 }, () => 'stateless unknown_key'));
    expect(new Set(pods.map(({ pod }) => pod)).size).toBe(3);
  });

  test('begins with a Set-Cookie of its name, whatever else is set, and ends with one that takes it back', () => {
    const { live } = replica([LEARNED]);
    expect(learn(live, ['a=1', 'JSESSIONID=abc.node1; Path=/; HttpOnly', 'jsessionid=x'])).toEqual([
      'begins abc.node1',
    ]);
    expect(learn(live, ['JSESSIONID="quoted"'])).toEqual(['begins quoted']);
    expect(learn(live, ['JSESSIONID=; Path=/', 'JSESSIONID'])).toEqual([]);
    const request = facts({ cookie: 'JSESSIONID=abc' });
    for (const over of ['Max-Age=0', 'Expires=Thu, 01-Jan-1970 00:00:01 GMT', 'max-age=-1'])
      expect(learn(live, [`JSESSIONID=deleted; ${over}`], request)).toEqual(['ends abc']);
    expect(learn(live, ['JSESSIONID=; Max-Age=0'])).toEqual([]);
  });

  test('appsession len: only a part of the value is the key, in the answer as in the request', () => {
    const { live } = replica([{ name: 'app', cookie: { name: 'S', mode: 'Learn', extract: { length: 4 } } }]);
    expect(learn(live, ['S=abcdefgh; Path=/'])).toEqual(['begins abcd']);
    expect(learn(live, ['S=; Max-Age=0'], facts({ cookie: 'S=abcdXXXX' }))).toEqual(['ends abcd']);
  });

  test('H3 stick store-response: by a header of the answer', () => {
    const { live } = replica([{ name: 'mcp', header: { name: 'Mcp-Session-Id', mode: 'Learn' } }]);
    expect(learn(live, ['s-1'], facts(), 'mcp-session-id')).toEqual(['begins s-1']);
    expect(learn(live, [''], facts(), 'mcp-session-id')).toEqual([]);
    expect(learn(live, [], facts(), 'mcp-session-id')).toEqual([]);
  });

  test('leads to its endpoint, moves with it, and is over after absoluteTimeout', () => {
    const { live, send, table, on } = replica([LEARNED], { absoluteTimeout: HOUR });
    const request = { cookie: 'JSESSIONID=abc' };
    const probe = ask(
      replica([{ name: 'app', cookie: { name: 'JSESSIONID', mode: 'Table' } }]).live,
      of(),
      facts(request),
      on,
    );
    const { entryHigh, entryLow, entryScope } = probe.d;
    const bound = (pod: string, born = 0) =>
      table.learn(entryHigh, entryLow, entryScope, slotOf(pod), on.now, 2 * HOUR, born);
    expect(live.learners).toHaveLength(1);
    bound('b');
    expect(send(of(), request)).toMatchObject({ pod: 'b', verdict: 'kept -' });
    const next = send(of(['a', 'c']), request);
    expect(next.verdict).toBe('moved endpoint_gone');
    expect(send(of(['a', 'c']), request)).toMatchObject({ pod: next.pod, verdict: 'kept -' });
    on.now += HOUR + 1000;
    expect(send(of(), request).verdict).toBe('stateless unknown_key');
    table.end(AUTHORITATIVE, entryHigh, entryLow);
    bound('c');
    expect(send(of(), request)).toMatchObject({ pod: 'c', verdict: 'kept -' });
  });
});
