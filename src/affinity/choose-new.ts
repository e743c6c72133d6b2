/** The endpoint of a client without a session: by the policy's algorithm, below its cap. */
import { DRAINING, READY } from '../model/live.ts';
import type { LivePool } from '../model/live.ts';
import type { CompiledPolicy } from '../model/policy.ts';
import { OUTCOME, REASON } from './decision.ts';
import type { Decision } from './decision.ts';
import type { DecideEnv } from './env.ts';
import { rejectWithoutEndpoint } from './follow.ts';
import { pickNew } from './pick-new.ts';

/** All endpoints have as many sessions as the policy allows. */
const FULL = 503;

/** False = refused. `begins`: a session begins with it. `reason` holds unless the choice has one of its own. */
export function chooseNew(
  d: Decision,
  policy: CompiledPolicy,
  pool: LivePool,
  begins: boolean,
  reason: number,
  env: DecideEnv,
): boolean {
  const cap = begins ? Math.ceil(policy.maxSessionsPerEndpoint / env.replicas) : 0;
  const roomy = cap === 0 ? -1 : pickNew(policy, pool, d.tried, env, cap);
  const index = roomy >= 0 ? roomy : pickNew(policy, pool, d.tried, env);
  const state = pool.endpoints[index]?.state;
  const full = cap > 0 && roomy < 0 && state === READY;
  if (index < 0) rejectWithoutEndpoint(d);
  else if (full && policy.onFull === 'Reject') d.reject(REASON.capacity, FULL);
  else {
    // A draining endpoint is taken only for want of a Ready one, and that is what the reason says.
    const why = state === DRAINING ? REASON.drain : full ? REASON.capacity : reason;
    d.choose(index, begins ? OUTCOME.new : OUTCOME.stateless, why);
    return true;
  }
  return false;
}
