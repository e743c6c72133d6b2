/** Tests of `onEndpointLost.preferVersion`: where sessions go whose pod is replaced by one of another version. */
import { describe, expect, test } from 'vitest';
import { decide } from '../../../src/affinity/decide.ts';
import { Decision } from '../../../src/affinity/decision.ts';
import { issueToken } from '../../../src/affinity/issue.ts';
import { KeyRing } from '../../../src/affinity/keyring.ts';
import type { LivePool } from '../../../src/model/live.ts';
import type { CompiledPolicy } from '../../../src/model/policy.ts';
import { affinity, ask, COOKIE, env, facts, key, NOW, OK, pair, pool, seeded } from './fixtures.ts';
import type { TestEndpoint } from './fixtures.ts';

function preferring(preferVersion: CompiledPolicy['lost']['preferVersion']) {
  const lost: CompiledPolicy['lost'] = {
    action: 'Reassign',
    statusCode: 503,
    notReadyGrace: 3000,
    goneGrace: 0,
    preferVersion,
  };
  return affinity([COOKIE], { lost });
}

function of(version: string, ...ids: readonly string[]): TestEndpoint[] {
  return ids.map((id) => ({ id, version }));
}

function newest(version: string | undefined, endpoints: readonly TestEndpoint[]): LivePool {
  return { ...pool(endpoints), newest: version };
}

/** The pods that a hundred sessions of pod `a` (version `v1`) move to. */
function movedTo(preferVersion: CompiledPolicy['lost']['preferVersion'], target: LivePool): string[] {
  const live = preferring(preferVersion);
  const on = env({ random: seeded(3) });
  const pods = new Set<string>();
  for (let i = 0; i < 100; i++) {
    const cookie = pair(ask(live, pool(of('v1', 'a')), facts(), on).setCookie);
    const { pod, verdict, setCookie } = ask(live, target, facts({ cookie }), on);
    expect(verdict).toMatch(/^moved /);
    expect(setCookie).toBeDefined();
    pods.add(pod);
  }
  return [...pods].sort();
}

describe('preferVersion', () => {
  const left = [...of('v1', 'b', 'c'), ...of('v2', 'd', 'e')];

  test('Any: all pods alike', () => {
    expect(movedTo('Any', newest('v2', left))).toEqual(['b', 'c', 'd', 'e']);
  });

  test('Same: pods of the version that the token names, although its own pod is gone', () => {
    expect(movedTo('Same', newest('v2', left))).toEqual(['b', 'c']);
  });

  test('Newest: pods of the newest version', () => {
    expect(movedTo('Newest', newest('v2', left))).toEqual(['d', 'e']);
  });

  test('no Ready pod of the version: any other', () => {
    const others = newest('v3', [{ id: 'b', version: 'v1', state: 'Draining' }, ...of('v2', 'd', 'e')]);
    expect(movedTo('Same', others)).toEqual(['d', 'e']);
    expect(movedTo('Newest', others)).toEqual(['d', 'e']);
  });

  test('unknown versions make no difference', () => {
    expect(movedTo('Newest', newest(undefined, [{ id: 'b' }, { id: 'c' }]))).toEqual(['b', 'c']);
    expect(movedTo('Same', newest(undefined, [{ id: 'b' }, { id: 'c' }]))).toEqual(['b', 'c']);
  });

  test('one that refuses connections is not preferred', () => {
    const live = preferring('Same');
    const on = env();
    const cookie = pair(ask(live, pool(of('v1', 'a')), facts(), on).setCookie);
    const target = pool([...of('v1', 'b'), ...of('v2', 'd')]);
    on.meters.failing.set(target.endpoints[0]?.slot ?? 0, NOW - 1);
    expect(ask(live, target, facts({ cookie }), on).pod).toBe('d');
  });

  test('Same: a token that does not know the version, or knows that of its former namesake, is written anew', () => {
    const live = preferring('Same');
    const early = pair(ask(live, pool(['a']), facts()).setCookie);
    const later = ask(live, pool(of('v1', 'a')), facts({ cookie: early }));
    expect(later.verdict).toBe('kept -');
    const cookie = pair(later.setCookie);
    expect(ask(live, pool(of('v1', 'a')), facts({ cookie })).setCookie).toBeUndefined();
    expect(ask(live, pool(of('v2', 'a')), facts({ cookie })).setCookie).toBeDefined();
    // Nobody asks for it: not a cookie more.
    expect(ask(preferring('Any'), pool(of('v2', 'a')), facts({ cookie })).setCookie).toBeUndefined();
  });

  test('a key that leaves the ring while a request is under way breaks nothing', () => {
    const live = preferring('Same');
    const rotated = KeyRing.from([key(1)]);
    const both = KeyRing.from([key(0), key(1)]);
    const cookie = pair(ask(live, pool(of('v1', 'a')), facts(), env()).setCookie);
    const d = new Decision();
    d.begin();
    const target = pool(of('v2', 'a'), both);
    decide(d, live, target, facts({ cookie }), env({ keys: both }));
    expect(d.outcomeName).toBe('kept');
    expect(() => issueToken(d, live, target, facts({ cookie }), OK, env({ keys: rotated }))).not.toThrow();
  });

  test('T45: with Newest a rolling update moves each session once', () => {
    const SIZE = 10;
    const live = preferring('Newest');
    const on = env({ random: seeded(5) });
    const old = Array.from({ length: SIZE }, (_, i) => ({ id: `old-${i}`, version: 'v1' }));
    const sessions = Array.from({ length: 300 }, () => ({
      cookie: pair(ask(live, newest('v1', old), facts(), on).setCookie),
      moves: 0,
    }));
    for (let step = 1; step <= SIZE; step++) {
      // maxSurge 1: one more of the new version, then one less of the old one.
      const fresh = Array.from({ length: step }, (_, i) => ({ id: `new-${i}`, version: 'v2' }));
      const target = newest('v2', [...old.slice(step), ...fresh]);
      for (const session of sessions) {
        const { verdict, setCookie } = ask(live, target, facts({ cookie: session.cookie }), on);
        if (verdict === 'kept -') continue;
        session.moves++;
        session.cookie = pair(setCookie);
      }
    }
    expect(sessions.map(({ moves }) => moves)).toEqual(sessions.map(() => 1));
  });
});
