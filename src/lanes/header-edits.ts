/** What becomes of the headers in which backends mint sessions (mode Wrap), on their way in and out. */
import { unwrapHeader, wrapHeader } from '../affinity/wrap.ts';
import type { NamedEdits } from '../http1/serialize.ts';
import type { RequestFacts } from '../model/facts.ts';
import type { LaneContext } from './context.ts';
import type { Plan } from './plan.ts';

/** undefined = the route's policy has no such header. */
export function requestHeaderEdits(plan: Plan, ctx: LaneContext): NamedEdits | undefined {
  const live = plan.policy;
  if (live === undefined || live.wrapped.length === 0) return undefined;
  return { names: live.wrapped, edit: (_, value) => unwrapHeader(value, live, ctx.env) };
}

/** As above; for an answer of the endpoint that the plan has chosen. */
export function responseHeaderEdits(
  plan: Plan,
  ctx: LaneContext,
  facts: RequestFacts,
  response: { readonly status: number },
): NamedEdits | undefined {
  const { affinity: live, decision, pool } = plan;
  if (live === undefined || pool === undefined || live.wrapped.length === 0) return undefined;
  return {
    names: live.wrapped,
    edit: (name, value) => wrapHeader(decision, live, name, pool, facts, response, ctx.env, value),
  };
}
