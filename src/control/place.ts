/** Where this process runs: its pod's name and namespace. */
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';

const ACCOUNT = '/var/run/secrets/kubernetes.io/serviceaccount';
const NAMESPACE_FILE = `${ACCOUNT}/namespace`;
/** There is one in a pod. */
export const SERVICE_ACCOUNT_TOKEN = `${ACCOUNT}/token`;

/** `POD_NAMESPACE`, else what the service account says; undefined = this is no pod. */
export function ownNamespace(env: Readonly<Record<string, string | undefined>>): string | undefined {
  const given = env['POD_NAMESPACE'];
  if (given !== undefined && given !== '') return given;
  try {
    const text = readFileSync(NAMESPACE_FILE, 'utf8').trim();
    return text === '' ? undefined : text;
  } catch {
    // No such file: not in a pod.
    return undefined;
  }
}

/** Unique over all replicas and restarts, and readable. */
export function ownIdentity(env: Readonly<Record<string, string | undefined>>): string {
  const pod = env['POD_NAME'];
  return `${pod === undefined || pod === '' ? hostname() : pod}_${randomUUID()}`;
}
