/** Who may list and change sessions: who has the admin token, or whom the cluster says may. */
import { createHash, timingSafeEqual } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { Caller, Refusal } from '../admin/types.ts';
import type { KubeApi } from '../source/kubernetes/client.ts';

export interface AuthorizeOptions {
  /** Without a cluster, who is on this machine may. */
  readonly standalone: boolean;
  /** Read for each question, so that it can be replaced. */
  readonly tokenFile: string | undefined;
  /** Asked about other tokens; undefined = it may not be asked, or there is none. */
  readonly reviewer: () => Pick<KubeApi, 'request'> | undefined;
}

/** What a ClusterRole names in `nonResourceURLs`. */
const PATH = '/api/v1/sessions';
const REVIEW_MS = 3000;

/** undefined = the caller may. */
export async function authorize(
  { standalone, tokenFile, reviewer }: AuthorizeOptions,
  caller: Caller,
  verb: 'get' | 'post',
): Promise<Refusal | undefined> {
  if (standalone && caller.loopback) return undefined;
  const token = /^Bearer ([!-~]{1,8192})$/i.exec(caller.authorization ?? '')?.[1];
  const api = reviewer();
  if (token === undefined)
    return { status: 401, error: `send a bearer token: ${waysIn(tokenFile, api !== undefined)}` };
  if (tokenFile !== undefined && (await isIn(tokenFile, token))) return undefined;
  if (api === undefined) return { status: 401, error: `this token is not known: ${waysIn(tokenFile, false)}` };
  try {
    return await review(api, token, verb);
  } catch {
    return { status: 503, error: 'the API server could not be asked who you are; try again' };
  }
}

function waysIn(tokenFile: string | undefined, reviewed: boolean): string {
  const ways = [
    ...(tokenFile === undefined ? [] : ['that of --admin-token-file']),
    ...(reviewed ? [`that of an account with a right to get or post the nonResourceURL ${PATH}`] : []),
  ];
  return ways.length === 0 ? 'the controller knows none; start it with --admin-token-file' : ways.join(', or ');
}

/** Compared by hashes, in constant time. A file that cannot be read, or is empty, lets nobody in. */
async function isIn(file: string, token: string): Promise<boolean> {
  const text = (await readFile(file, 'utf8').catch(() => '')).trim();
  const hash = (value: string): Buffer => createHash('sha256').update(value).digest();
  return text !== '' && timingSafeEqual(hash(text), hash(token));
}

async function review(api: Pick<KubeApi, 'request'>, token: string, verb: string): Promise<Refusal | undefined> {
  const { authenticated, user } = await ask(api, 'authentication.k8s.io', 'TokenReview', { token });
  if (authenticated !== true) return { status: 401, error: 'the cluster does not know this token' };
  const { username, uid, groups, extra } = (user ?? {}) as Record<string, unknown>;
  const nonResourceAttributes = { path: PATH, verb };
  const spec = { user: username, uid, groups, extra, nonResourceAttributes };
  const { allowed } = await ask(api, 'authorization.k8s.io', 'SubjectAccessReview', spec);
  if (allowed === true) return undefined;
  const error = `${String(username)} may not ${verb} ${PATH}; grant it by a ClusterRole with nonResourceURLs: [${PATH}], verbs: [${verb}]`;
  return { status: 403, error };
}

/** The status of a review. */
async function ask(
  api: Pick<KubeApi, 'request'>,
  group: string,
  kind: string,
  spec: object,
): Promise<Record<string, unknown>> {
  const path = `/apis/${group}/v1/${kind.toLowerCase()}s`;
  const body = { apiVersion: `${group}/v1`, kind, spec };
  const answer = await api.request('POST', path, { body, timeout: REVIEW_MS });
  if (answer.status >= 300) throw new Error(`${kind}: the API server answered ${answer.status}`);
  return (answer.json() as { status?: Record<string, unknown> }).status ?? {};
}
