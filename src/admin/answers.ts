/** What the admin server answers, path by path. */
import type { Problem } from '../model/problem.ts';
import { errorAnswer, json, plain } from './answer.ts';
import type { Answer } from './answer.ts';
import { OPENAPI } from './openapi.ts';
import { listAnswer, obeyAnswer, ordersAnswer, sessionAnswer } from './session-answers.ts';
import type { ActiveProblem, AdminOptions, Caller, Readiness } from './types.ts';

type Endpoint = (options: AdminOptions, query: URLSearchParams, caller: Caller) => Answer | Promise<Answer>;

/** What is read. Those under `/api` are answered to local Hosts only, except the drain. */
export const ENDPOINTS: ReadonlyMap<string, Endpoint> = new Map<string, Endpoint>([
  ['/healthz', () => plain(200, 'ok\n')],
  ['/readyz', ({ readiness }) => readyz(readiness())],
  ['/metrics', async ({ metrics }) => ({ status: 200, ...(await metrics()) })],
  ['/api/v1/version', ({ version }) => json(200, versionJson(version()))],
  ['/api/v1/problems', ({ problems }) => json(200, problems().map(problemJson))],
  ['/api/v1/drain', drainAnswer],
  ['/api/v1/sessions', listAnswer],
  ['/api/v1/sessions/orders', ordersAnswer],
  ['/api/v1/openapi.json', () => json(200, OPENAPI)],
]);

/** What takes a POST. */
export const WRITES: ReadonlyMap<string, Endpoint> = new Map<string, Endpoint>([
  ['/api/v1/sessions/show', sessionAnswer('show')],
  ['/api/v1/sessions/move', sessionAnswer('move')],
  ['/api/v1/sessions/end', sessionAnswer('end')],
  ['/api/v1/sessions/orders', obeyAnswer],
]);

/** What stands between the controller and being ready; empty = ready. */
function notReadyBecause({ unsynced, keys, workers, shuttingDown }: Readiness): string[] {
  const reasons: string[] = [];
  if (shuttingDown) reasons.push('shutting down');
  if (unsynced.length > 0) reasons.push(`not synced: ${unsynced.join(', ')}`);
  if (!keys) reasons.push('no session keys');
  if (workers.up === 0) reasons.push(`no worker is up, of ${workers.wanted}`);
  return reasons;
}

function readyz(readiness: Readiness): Answer {
  const reasons = notReadyBecause(readiness);
  return reasons.length === 0 ? plain(200, 'ok\n') : plain(503, reasons.map((reason) => `${reason}\n`).join(''));
}

function versionJson(info: ReturnType<AdminOptions['version']>): unknown {
  return { ...info, startedAt: new Date(info.startedAt).toISOString() };
}

function problemJson({
  severity,
  object,
  field,
  message,
  location,
  since,
}: ActiveProblem): Problem & { since: string } {
  const where = location === undefined ? {} : { location };
  return { severity, object, field, message, ...where, since: new Date(since).toISOString() };
}

/** RFC 1123 subdomain, which is what a namespace or pod may be named. */
const NAME = /^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/;

/** `local=1` asks this process alone, without it all replicas are asked. */
async function drainAnswer(options: AdminOptions, query: URLSearchParams, caller: Caller): Promise<Answer> {
  const usage = 'write ?pod=NAMESPACE/NAME, such as ?pod=shop/web-0';
  const unknown = [...query.keys()].find((key) => key !== 'pod' && key !== 'local');
  if (unknown !== undefined)
    return errorAnswer(400, `unknown query parameter ${JSON.stringify(unknown.slice(0, 64))}: ${usage}`);
  const pods = query.getAll('pod');
  const [pod] = pods;
  if (pod === undefined) return errorAnswer(400, `the pod is missing: ${usage}`);
  if (pods.length > 1) return errorAnswer(400, `one pod at a time: ${usage}`);
  const [namespace = '', name = '', ...rest] = pod.split('/');
  if (rest.length > 0 || !NAME.test(namespace) || !NAME.test(name)) {
    return errorAnswer(400, `${JSON.stringify(pod.slice(0, 64))} does not name a pod: ${usage}`);
  }
  const local = query.get('local');
  if (local !== null && local !== '1')
    return errorAnswer(400, `write local=1, or leave it out to ask all replicas; ${usage}`);
  if (local === null) return json(200, await options.drain(namespace, name));
  const progress = options.drainHere(namespace, name, caller);
  return progress === undefined
    ? errorAnswer(401, 'local=1 is for the other replicas and for this machine; leave it out to ask all replicas')
    : json(200, progress);
}
