/** T32: over all states of four endpoints, selection terminates and obeys the rules. */
import { describe, expect, test } from 'vitest';
import { Decision } from '../../../src/affinity/decision.ts';
import { affinity, again, ask, env, facts, HOUR, NOW, pool, sessionOn, slotOf } from './fixtures.ts';
import type { TestEndpoint } from './fixtures.ts';

const PODS = ['a', 'b', 'c', 'd'];
const STATES = ['Ready', 'Failing', 'Draining', 'NotReady', 'Late', 'Gone'] as const;
type State = (typeof STATES)[number];

function* combinations(): Generator<readonly State[]> {
  for (let n = 0; n < STATES.length ** PODS.length; n++) {
    yield PODS.map((_, i) => STATES[Math.floor(n / STATES.length ** i) % STATES.length] ?? 'Gone');
  }
}

function build(states: readonly State[]) {
  const on = env();
  const list = PODS.flatMap((id, i): TestEndpoint[] => {
    const state = states[i];
    on.meters.failing.set(slotOf(id), state === 'Failing' ? NOW - HOUR : 0);
    if (state === 'Gone') return [];
    if (state === 'Late') return [{ id, state: 'NotReady', since: NOW - HOUR }];
    if (state === 'NotReady') return [{ id, state, since: NOW - 1 }];
    return [{ id, state: state === 'Draining' ? 'Draining' : 'Ready' }];
  });
  return { on, target: pool(list) };
}

const live = affinity();
const hashed = affinity([{ name: 'h', header: { name: 'x-id', mode: 'Hash' } }]);
const cookie = sessionOn(live, 'a');
const requests = { token: facts({ cookie }), fresh: facts(), hash: facts({ head: { 'x-id': 'u' } }) };

describe('T32 all states of four endpoints', () => {
  test('what is chosen', () => {
    for (const states of combinations()) {
      const { on, target } = build(states);
      const of = (pod: string) => states[PODS.indexOf(pod)];
      const usable = states.some((state) => state === 'Ready' || state === 'Draining' || state === 'Failing');
      const best = states.includes('Ready') ? 'Ready' : states.includes('Draining') ? 'Draining' : 'Failing';

      const fresh = ask(live, target, requests.fresh, on);
      if (usable) expect(of(fresh.pod), String(states)).toBe(best);
      else expect(fresh).toMatchObject({ verdict: 'rejected no_endpoints', status: 503, setCookie: undefined });

      const kept = ask(live, target, requests.token, on);
      const stays = states[0] === 'Ready' || states[0] === 'Draining' || states[0] === 'NotReady';
      if (stays) expect(kept).toMatchObject({ pod: 'a', verdict: 'kept -' });
      else if (!usable) expect(kept.verdict).toBe('rejected no_endpoints');
      else if (states[0] === 'Failing' && best === 'Failing')
        expect(kept).toMatchObject({ pod: 'a', verdict: 'kept -' });
      else expect(of(kept.pod), String(states)).toBe(best);

      const hash = ask(hashed, target, requests.hash, on);
      const within = states.includes('Ready') || states.includes('NotReady');
      if (within) expect(['Ready', 'NotReady'], String(states)).toContain(of(hash.pod));
      else if (usable) expect(of(hash.pod), String(states)).toBe(best);
      else expect(hash.verdict).toBe('rejected no_endpoints');
    }
  });

  test.each(['token', 'fresh', 'hash'] as const)('retries of %s requests end, none twice', (kind) => {
    for (const states of combinations()) {
      const { on, target } = build(states);
      const affinityOf = kind === 'hash' ? hashed : live;
      const d = new Decision();
      const seen = new Set<string>();
      let answer = ask(affinityOf, target, requests[kind], on, undefined, d);
      while (answer.pod !== '') {
        expect(seen.has(answer.pod)).toBe(false);
        seen.add(answer.pod);
        d.tried.push(slotOf(answer.pod));
        answer = again(d, affinityOf, target, requests[kind], on);
      }
      expect(answer.verdict).toBe(seen.size > 0 ? 'rejected connect_failed' : 'rejected no_endpoints');
      expect(answer.setCookie).toBeUndefined();
    }
  });

  test('T40 the order of the endpoints changes nothing', () => {
    for (const states of combinations()) {
      const { on, target } = build(states);
      const list = target.endpoints.map((endpoint): TestEndpoint => ({
        id: endpoint.pod,
        state: (['Ready', 'Draining', 'NotReady'] as const)[endpoint.state] ?? 'Ready',
        since: endpoint.since,
      }));
      const reversed = pool(list.reverse());
      for (const [affinityOf, request] of [
        [live, requests.token],
        [hashed, requests.hash],
      ] as const) {
        expect(ask(affinityOf, reversed, request, on).pod).toBe(ask(affinityOf, target, request, on).pod);
      }
    }
  });
});
