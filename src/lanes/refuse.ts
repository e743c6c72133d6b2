/** Requests that never become an exchange: their answer, and what is counted and logged of them. */
import type { RequestHead } from '../http1/request-head.ts';
import type { AccessRecord } from '../shared/messages.ts';
import { ownAnswer } from './answer.ts';
import type { Refusal } from './answer.ts';
import type { LaneContext } from './context.ts';
import type { ExchangeClient } from './exchange.ts';

/** `head`: the request, as far as there is one. `close`: the connection ends with this answer. */
export function refuse(
  ctx: LaneContext,
  { out, forwarding }: Pick<ExchangeClient, 'out' | 'forwarding'>,
  refusal: Refusal,
  head: RequestHead | undefined,
  close: boolean,
): void {
  const requestId = ctx.newRequestId();
  const before = out.bytes;
  ctx.counters.error('client', refusal.status);
  out.answer(ownAnswer(ctx, refusal, head, requestId, close));
  out.flush();
  const bytes = out.bytes - before;
  ctx.counters.bytesOut(bytes);
  if (ctx.wantsAccessRecord()) ctx.access(refusedRecord(ctx, forwarding.peer, refusal.status, bytes, requestId));
}

/** The access record of a request that was refused before there was one: HAProxy's `<BADREQ>`. */
function refusedRecord(
  ctx: LaneContext,
  client: string,
  status: number,
  bytesOut: number,
  requestId: string,
): AccessRecord {
  const none = {
    host: '-',
    path: '-',
    namespace: '-',
    ingress: '-',
    service: '-',
    policy: '-',
    rule: '-',
    outcome: '-',
    reason: '-',
    endpoint: '-',
  };
  return {
    at: ctx.deadlines.exact(),
    client,
    method: '<BADREQ>',
    status,
    bytesIn: 0,
    bytesOut,
    duration: 0,
    connect: -1,
    head: -1,
    requestId,
    ...none,
  };
}
