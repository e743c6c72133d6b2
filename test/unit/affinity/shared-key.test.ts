/** Keys that replicas share: the store is asked before a key that is not known here is decided, and what it says counts. */
import { describe, expect, test } from 'vitest';
import { decide } from '../../../src/affinity/decide.ts';
import { ANSWERED, Decision, UNREACHABLE } from '../../../src/affinity/decision.ts';
import { formatShared, parseShared } from '../../../src/affinity/shared-key.ts';
import type { CompiledPolicy } from '../../../src/model/policy.ts';
import type { LivePool } from '../../../src/model/live.ts';
import type { TestEndpoint, TestRule } from './fixtures.ts';
import { affinity, env, facts, NOW, pool, seeded } from './fixtures.ts';

const TABLE: TestRule = { name: 'apps', header: { name: 'x-id', mode: 'Table' } };
const LEARN: TestRule = { name: 'apps', header: { name: 'x-id', mode: 'Learn' } };
const ABC = ['a', 'b', 'c'];

function shared(rule: TestRule, list: readonly (string | TestEndpoint)[] = ABC, changes: Partial<CompiledPolicy> = {}) {
  const live = affinity([rule], { algorithm: 'RoundRobin', ...changes });
  const d = new Decision(true);
  const on = env({ random: seeded(3) });
  const target = { now: pool(list) };
  const tags = new Map(ABC.map((id) => [id, target.now.identity.PodUID.prefixes.get(0)?.[ABC.indexOf(id)] ?? id]));
  return {
    d,
    on,
    tags,
    use: (next: LivePool) => (target.now = next),
    begin: () => d.begin(),
    run: (id = 'k') => {
      decide(d, live, target.now, facts({ head: { 'x-id': id } }), on);
      if (d.asks) return 'asks';
      return `${d.outcomeName} ${d.reasonName} ${target.now.endpoints[d.endpoint]?.pod ?? '-'}`;
    },
  };
}

describe('before a key that is not known here is decided', () => {
  test('the store is asked, once, and takes no turn of the others', () => {
    const { d, begin, run } = shared(TABLE);
    begin();
    expect(run()).toBe('asks');
    expect(d).toMatchObject({ key: 'k', endpoint: -1 });
    d.told(ANSWERED, '', 0);
    expect(run()).toBe('new - a');
    begin();
    expect(run('l')).toBe('asks');
    d.told(ANSWERED, '', 0);
    expect(run('l')).toBe('new - b');
  });

  test('what it says is where the key is, or has been', () => {
    const { d, begin, run, tags, use } = shared(TABLE);
    begin();
    run();
    d.told(ANSWERED, tags.get('c') ?? '', NOW - 5000);
    expect(run()).toBe('kept - c');
    expect(d.began).toBe(NOW - 5000);
    use(pool(['a', 'b']));
    const moved = run();
    expect(moved).toMatch(/^moved endpoint_gone [ab]$/);
    // Every replica moves it there.
    const other = shared(TABLE, ['a', 'b']);
    other.begin();
    other.run();
    other.d.told(ANSWERED, 'somewhere.else', 0);
    expect(other.run()).toBe(moved);
  });

  test('a key that comes back within its grace is waited for', () => {
    const lost = {
      action: 'Reassign',
      statusCode: 503,
      notReadyGrace: 3000,
      goneGrace: 10_000,
      preferVersion: 'Any',
    } as const;
    const { d, begin, run, tags, use } = shared(TABLE, ABC, { lost });
    const tag = tags.get('c') ?? '';
    begin();
    run();
    d.told(ANSWERED, tag, NOW);
    use({ ...pool(['a', 'b']), left: new Map([[tag, NOW]]) });
    expect(run()).toBe('rejected endpoint_gone -');
    expect(d.waitFor).toBe(tag);
    use(pool(ABC));
    expect(run()).toBe('kept - c');
  });

  test('while it is away the key chooses, in each replica alike, and among those that are Ready', () => {
    const one = shared(TABLE);
    const two = shared(TABLE, ['c', 'b', 'a'], { algorithm: 'Random' });
    const chosen = new Set<string>();
    for (let i = 0; i < 20; i++) {
      for (const { begin, run, d } of [one, two]) {
        begin();
        run(`key-${i}`);
        d.told(UNREACHABLE, '', 0);
      }
      const answer = one.run(`key-${i}`);
      expect(two.run(`key-${i}`)).toBe(answer);
      chosen.add(answer);
    }
    expect(chosen.size).toBe(3);
    const none = shared(TABLE, []);
    none.begin();
    none.run();
    none.d.told(UNREACHABLE, '', 0);
    expect(none.run()).toBe('rejected no_endpoints -');
  });

  test('Learn: a key that no replica knows is balanced, and no session', () => {
    const { d, begin, run, tags } = shared(LEARN);
    for (const told of [ANSWERED, UNREACHABLE]) {
      begin();
      expect(run()).toBe('asks');
      d.told(told, '', 0);
      expect(run()).toMatch(/^stateless unknown_key [abc]$/);
      expect(d.region).toBe(-1);
    }
    begin();
    run();
    d.told(ANSWERED, tags.get('b') ?? '', NOW);
    expect(run()).toBe('kept - b');
  });
});

test('without a session store nothing is asked', () => {
  const d = new Decision();
  d.begin();
  decide(d, affinity([TABLE]), pool(ABC), facts({ head: { 'x-id': 'k' } }), env());
  expect(d).toMatchObject({ asks: false, outcomeName: 'new' });
});

test('a value is a tag and a second; whatever else stands there is nothing of ours', () => {
  const key = { tag: 'AbC_-9012345', began: NOW };
  expect(parseShared(formatShared(key))).toEqual(key);
  expect(formatShared(key)).toHaveLength(20);
  const text = formatShared(key);
  for (const bad of ['', text.slice(1), `${text}0`, text.replace('_', '!'), `${text.slice(0, 19)}g`, `${text}\n`])
    expect(parseShared(bad), bad).toBeUndefined();
});
