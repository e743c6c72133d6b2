/** The control plane that cluster/run.sh starts: where its parts are, and what its API server was asked. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Logs, certificates and keys. */
export const CLUSTER_DIR = process.env['CLUSTER_DIR'] ?? '';
if (CLUSTER_DIR === '') throw new Error('these tests need a control plane of their own: run `npm run test:e2e`');

export const API_SERVER = { host: '127.0.0.1', port: 6443 };
export const API_CA = join(CLUSTER_DIR, 'certs/apiserver.crt');

/** An entry of the API server's audit log; cluster/audit.yaml says which requests have one. */
export interface Audited {
  readonly verb: string;
  readonly requestURI: string;
  readonly user: { readonly username: string };
  readonly objectRef?: { readonly resource: string; readonly namespace?: string; readonly name?: string };
  readonly responseStatus: { readonly code: number };
}

/** Every request of a ServiceAccount that has been answered so far, in order. */
export function audited(namespace: string, account: string): Audited[] {
  const lines = readFileSync(join(CLUSTER_DIR, 'audit.log'), 'utf8').split('\n');
  // The last one may be half written.
  const entries = lines.slice(0, -1).map((line) => JSON.parse(line) as Audited);
  return entries.filter(({ user }) => user.username === `system:serviceaccount:${namespace}:${account}`);
}
