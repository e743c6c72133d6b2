/** What becomes of the cookies that backends set: removed, left, or given our token (modes Rewrite and Prefix). */
import type { RequestFacts } from '../model/facts.ts';
import { OBSERVED } from '../model/live.ts';
import type { LivePool } from '../model/live.ts';
import type { LiveAffinity } from './build.ts';
import { setCookieName } from './cookies.ts';
import { OUTCOME } from './decision.ts';
import type { Decision } from './decision.ts';
import { setEntry } from './entry.ts';
import type { DecideEnv } from './env.ts';
import { makeToken, mayCarry } from './issue.ts';

/**
 * One Set-Cookie value of the endpoint `d.endpoint` of `pool` as the client shall see it; the same string = unchanged,
 * empty = the line is left out. Whichever rule decided: a session that the application starts here is here. Sets
 * `d.edited` when the value got our token.
 */
export function editSetCookie(
  d: Decision,
  live: LiveAffinity,
  pool: LivePool,
  facts: RequestFacts,
  response: { readonly status: number },
  env: DecideEnv,
  line: string,
): string {
  const name = setCookieName(line);
  if (live.ownedSetCookies.includes(name)) return '';
  const token = live.edited.get(name);
  if (token === undefined || isExpiring(line, env.now)) return line;
  // Without our token the line would take the session away from the client.
  if (!mayCarry(facts, response)) return '';
  const { key } = token;
  if (d.bound === undefined && d.issue < 0) d.drawSession(env);
  const value = makeToken(d, live, key, pool, facts, env, d.bound);
  if (value === undefined) return line;
  d.edited = true;
  beginSession(d, live);
  const start = line.indexOf('=') + 1;
  if (key.mode === 'Prefix') return `${line.slice(0, start)}${value}${key.delimiter}${line.slice(start).trimStart()}`;
  const semicolon = line.indexOf(';');
  return `${line.slice(0, start)}${value}${semicolon < 0 ? '' : line.slice(semicolon)}`;
}

/** A request that had no session has started one, unless a rule with `none` says that it has nothing to do with sessions. */
export function beginSession(d: Decision, live: LiveAffinity): void {
  const rule = live.rules[d.rule];
  if (d.outcome !== OUTCOME.stateless || rule?.isNone === true) return;
  setEntry(d, OBSERVED, live.entries, d.sessionHigh, d.sessionLow, live.entryLife);
  d.outcome = OUTCOME.new;
  d.onIssue = true;
}

/** The application takes its cookie back: Max-Age counts before Expires (RFC 6265 section 5.3). */
export function isExpiring(line: string, now: number): boolean {
  let expires = Infinity;
  for (const attribute of line.split(';').slice(1)) {
    const equals = attribute.indexOf('=');
    if (equals < 0) continue;
    const name = attribute.slice(0, equals).trim().toLowerCase();
    const value = attribute.slice(equals + 1).trim();
    if (name === 'max-age' && /^-?\d+$/.test(value)) return Number(value) <= 0;
    if (name === 'expires') expires = Date.parse(value);
  }
  return expires <= now;
}
