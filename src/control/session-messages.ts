/** What replicas tell one another about sessions, read with care: another version may have written it. */
import type { SessionInfo, SessionListing } from '../admin/types.ts';
import { AUTHORITATIVE, OBSERVED } from '../model/live.ts';
import type { SessionOrder } from './session-orders.ts';

/** undefined = it is no list of orders. */
export function readOrders(raw: unknown): SessionOrder[] | undefined {
  if (!Array.isArray(raw)) return undefined;
  const orders: SessionOrder[] = [];
  for (const one of raw as unknown[]) {
    const order = readOrder(one);
    if (order === undefined) return undefined;
    orders.push(order);
  }
  return orders;
}

function readOrder(raw: unknown): SessionOrder | undefined {
  const { high, low, region, from, until, policy, to, pool } = fieldsOf(raw);
  if (!isWord(high) || !isWord(low) || typeof from !== 'number' || typeof until !== 'number') return undefined;
  if ((region !== AUTHORITATIVE && region !== OBSERVED) || typeof policy !== 'string') return undefined;
  if (to === undefined && pool === undefined) return { high, low, region, from, until, policy };
  if (typeof to !== 'string' || typeof pool !== 'string') return undefined;
  return { high, low, region, from, until, policy, to, pool };
}

/** undefined = it is no listing. */
export function readListing(raw: unknown): SessionListing | undefined {
  const { sessions, more } = fieldsOf(raw);
  if (!Array.isArray(sessions) || typeof more !== 'boolean') return undefined;
  const read = (sessions as unknown[]).map(readInfo);
  return read.includes(undefined) ? undefined : { sessions: read as SessionInfo[], more };
}

function readInfo(raw: unknown): SessionInfo | undefined {
  const { id, kind, namespace, policy, service, pod, active, firstSeen, lastSeen } = fieldsOf(raw);
  if (typeof id !== 'string' || (kind !== 'key' && kind !== 'seen') || typeof active !== 'boolean') return undefined;
  if (typeof namespace !== 'string' || typeof policy !== 'string') return undefined;
  if (typeof service !== 'string' || typeof pod !== 'string') return undefined;
  const [first, last] = [Date.parse(String(firstSeen)), Date.parse(String(lastSeen))];
  if (Number.isNaN(first) || Number.isNaN(last)) return undefined;
  return { id, kind, namespace, policy, service, pod, active, firstSeen: first, lastSeen: last };
}

function fieldsOf(raw: unknown): Readonly<Record<string, unknown>> {
  return typeof raw === 'object' && raw !== null ? (raw as Record<string, unknown>) : {};
}

function isWord(value: unknown): value is number {
  return Number.isInteger(value) && value === ((value as number) | 0);
}
