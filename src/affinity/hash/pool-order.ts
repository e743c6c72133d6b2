/** The orders of a pool's endpoints, each made once, when the first request asks for it, and kept as long as the pool's view. */
import { DRAINING, NOT_READY } from '../../model/live.ts';
import type { IdentityView, LiveEndpoint, LivePool } from '../../model/live.ts';
import type { HashAlgorithm } from '../../model/sticky-policy.ts';
import { keyOrder } from './key-order.ts';
import type { KeyOrder } from './key-order.ts';

interface Made {
  readonly algorithm: HashAlgorithm;
  readonly grace: number;
  /** Wall clock, ms: then an endpoint that is NotReady leaves it. */
  readonly until: number;
  readonly order: KeyOrder;
}

/** Whether an endpoint's state lets keys be looked up at it: Ready, or NotReady for no longer than the grace after it was Ready. */
export function takesKeys({ state, since, wasReady }: LiveEndpoint, grace: number, now: number): boolean {
  return state === NOT_READY ? wasReady && now - since <= grace : state !== DRAINING;
}

const made = new WeakMap<IdentityView, Made[]>();

/**
 * The order that keys are looked up in.
 *
 * Where Rendezvous and Ring pass an endpoint over, its keys go where they go when it is gone, so all endpoints take part
 * whatever their state. Not so Maglev: if its table held those that cannot be chosen, their keys would move twice.
 * @param grace ms for which a NotReady endpoint takes part; Infinity = all do, Draining ones too
 * @param now wall clock, ms
 */
export function poolOrder(
  algorithm: HashAlgorithm,
  view: IdentityView,
  pool: LivePool,
  grace: number,
  now: number,
): KeyOrder {
  let all = made.get(view);
  if (all === undefined) made.set(view, (all = []));
  const counts = algorithm === 'Maglev' ? grace : Infinity;
  for (let i = 0; i < all.length; i++) {
    const one = all[i];
    if (one?.algorithm !== algorithm || one.grace !== counts) continue;
    return now <= one.until ? one.order : (all[i] = make(algorithm, view, pool, counts, now)).order;
  }
  const one = make(algorithm, view, pool, counts, now);
  all.push(one);
  return one.order;
}

function make(algorithm: HashAlgorithm, view: IdentityView, pool: LivePool, grace: number, now: number): Made {
  const members: number[] = [];
  let until = Infinity;
  for (const [index, endpoint] of pool.endpoints.entries()) {
    if (grace !== Infinity && !takesKeys(endpoint, grace, now)) continue;
    members.push(index);
    if (endpoint.state === NOT_READY) until = Math.min(until, endpoint.since + grace);
  }
  return { algorithm, grace, until, order: keyOrder(algorithm, view.seeds, Int32Array.from(members)) };
}
