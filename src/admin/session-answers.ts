/** Sessions: listed and changed for who may, and what replicas tell one another about them. */
import { errorAnswer, json } from './answer.ts';
import type { Answer } from './answer.ts';
import type { AdminOptions, Caller, Refusal, SessionInfo, SessionListing, SessionQuery } from './types.ts';

const PARAMETERS = ['policy', 'pod', 'id', 'limit', 'local'];
const DEFAULT_LIMIT = 100;
const MAX_LIMIT = 1000;
const NAMES = /^[a-z0-9][-a-z0-9.]{0,252}\/[\w:.-]{1,253}$/;

/** `local=1` is how replicas ask one another. */
export async function listAnswer(options: AdminOptions, query: URLSearchParams, caller: Caller): Promise<Answer> {
  const local = query.get('local') === '1';
  if (!(local && options.isReplica(caller))) {
    const refusal = await options.authorize(caller, 'get');
    if (refusal !== undefined) return refused(refusal);
  }
  const wanted = readQuery(query);
  if (typeof wanted === 'string') return errorAnswer(400, wanted);
  return json(200, listingJson(local ? options.sessions.here(wanted) : await options.sessions.list(wanted)));
}

function readQuery(query: URLSearchParams): SessionQuery | string {
  const stray = [...query.keys()].find((key) => !PARAMETERS.includes(key));
  if (stray !== undefined)
    return `unknown query parameter ${JSON.stringify(stray.slice(0, 64))}: there are ${PARAMETERS.slice(0, -1).join(', ')}`;
  for (const name of ['policy', 'pod']) {
    const value = query.get(name);
    if (value !== null && !NAMES.test(value)) return `${name}: write NAMESPACE/NAME, such as ${name}=shop/web-0`;
  }
  const id = query.get('id') ?? undefined;
  if (id !== undefined && !/^[0-9a-f]{16}$/.test(id)) return 'id: write the 16 hexadecimal digits of the list';
  const limit = query.get('limit') ?? String(DEFAULT_LIMIT);
  if (!/^\d{1,4}$/.test(limit) || Number(limit) < 1 || Number(limit) > MAX_LIMIT)
    return `limit: write a number from 1 to ${MAX_LIMIT}`;
  const [policy, pod] = [query.get('policy') ?? undefined, query.get('pod') ?? undefined];
  return { policy, pod, id, limit: Number(limit) };
}

type Action = 'show' | 'move' | 'end';

/** Body: `{session, to}`; `to` for `move` alone. */
export function sessionAnswer(action: Action) {
  return async (options: AdminOptions, _: URLSearchParams, caller: Caller): Promise<Answer> => {
    const refusal = await options.authorize(caller, action === 'show' ? 'get' : 'post');
    if (refusal !== undefined) return refused(refusal);
    const wanted = readBody(caller.body, action);
    if (typeof wanted === 'string') return errorAnswer(400, wanted);
    const { session, to } = wanted;
    if (action === 'show') {
      const info = await options.sessions.show(session);
      return 'error' in info ? refused(info) : json(200, infoJson(info));
    }
    const done = await options.sessions.change(session, to);
    return 'error' in done ? refused(done) : json(200, { ...done, until: new Date(done.until).toISOString() });
  };
}

function readBody(text: string | undefined, action: Action): { session: string; to: string | undefined } | string {
  const usage = `write {"session": "ID or cookie value"${action === 'move' ? ', "to": "POD"' : ''}}`;
  const body = parsed(text);
  if (typeof body !== 'object' || body === null || Array.isArray(body)) return usage;
  const { session, to, ...others } = body as Record<string, unknown>;
  const [stray] = Object.keys(others);
  if (stray !== undefined) return `${JSON.stringify(stray.slice(0, 64))} is not known: ${usage}`;
  if (typeof session !== 'string' || session === '') return `session is missing: ${usage}`;
  if (action !== 'move') return to === undefined ? { session, to } : `to is for move alone: ${usage}`;
  return typeof to === 'string' && to !== '' ? { session, to } : `to is missing: ${usage}`;
}

/** What this replica keeps of sessions that were moved or ended. */
export function ordersAnswer(options: AdminOptions, _: URLSearchParams, caller: Caller): Answer {
  return options.isReplica(caller) ? json(200, options.sessions.orders()) : foreign();
}

/** Another replica's. */
export function obeyAnswer(options: AdminOptions, _: URLSearchParams, caller: Caller): Answer {
  if (!options.isReplica(caller)) return foreign();
  const refusal = options.sessions.obey(parsed(caller.body));
  return refusal === undefined ? json(200, {}) : refused(refusal);
}

function foreign(): Answer {
  return errorAnswer(401, 'this is for the other replicas; use /api/v1/sessions');
}

function refused({ status, error }: Refusal): Answer {
  return errorAnswer(status, error);
}

function parsed(text: string | undefined): unknown {
  try {
    return JSON.parse(text ?? '') as unknown;
  } catch {
    return undefined;
  }
}

function listingJson(listing: SessionListing): unknown {
  return { ...listing, sessions: listing.sessions.map(infoJson) };
}

function infoJson({ firstSeen, lastSeen, ...info }: SessionInfo): unknown {
  return { ...info, firstSeen: new Date(firstSeen).toISOString(), lastSeen: new Date(lastSeen).toISOString() };
}
