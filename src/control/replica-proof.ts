/** Shows that a question comes from another replica: an HMAC of the session keys, which only replicas have. */
import { createHmac, hkdfSync, timingSafeEqual } from 'node:crypto';
import { issuingKey, type SessionKey } from '../affinity/keyring.ts';

const SCHEME = 'Holdfast-Replica';
/** How far the clocks of replicas may be apart, and how long a question may be on its way: ms. */
const WINDOW_MS = 2 * 60_000;

/** What is asked of another replica. `target` = path and query as they are sent; with a body it is a POST. */
export interface ReplicaQuestion {
  readonly target: string;
  readonly body?: string | undefined;
}

/** An `Authorization` for one request. */
export function proofFor(keys: readonly SessionKey[], question: ReplicaQuestion, now: number): string | undefined {
  const key = issuingKey(keys, now);
  if (key === undefined) return undefined;
  return `${SCHEME} ${key.id}.${now}.${mac(key, question, now).toString('base64url')}`;
}

export function isProof(
  authorization: string,
  keys: readonly SessionKey[],
  question: ReplicaQuestion,
  now: number,
): boolean {
  const match = /^Holdfast-Replica (\d{1,2})\.(\d{1,15})\.([\w-]{43})$/.exec(authorization);
  const key = keys.find(({ id }) => String(id) === match?.[1]);
  const time = Number(match?.[2]);
  if (match === null || key === undefined || Math.abs(now - time) > WINDOW_MS) return false;
  const given = Buffer.from(match[3] ?? '', 'base64url');
  const expected = mac(key, question, time);
  return given.length === expected.length && timingSafeEqual(given, expected);
}

/** A label of its own (RFC 5869 section 3.2): what is shown here is of no use for tokens. */
function mac({ key }: SessionKey, { target, body }: ReplicaQuestion, time: number): Buffer {
  const subkey = Buffer.from(hkdfSync('sha256', key, '', 'holdfast replica question v1', 32));
  return createHmac('sha256', subkey)
    .update(`${body === undefined ? 'GET' : 'POST'} ${target}\n${time}`)
    .update(body === undefined ? '' : `\n${body}`)
    .digest();
}
