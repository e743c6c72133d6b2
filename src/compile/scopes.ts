/** Whose session it is: the texts of scopes and the cookie names made from them. */
import { createHash } from 'node:crypto';

/**
 * Scope of a policy's sessions at one Service: (namespace, policy, Service), or (namespace, group) when the policy
 * has a group. By names, never UIDs, so that a re-created object keeps its clients' sessions. Kubernetes names hold no
 * `/`, so no two scopes have one text.
 */
export function scopeText(namespace: string, policy: string, service: string, group: string | undefined): string {
  return group === undefined ? `policy/${namespace}/${policy}/${service}` : `group/${namespace}/${group}`;
}

/** First 8 hex digits of SHA-256: short enough for a cookie name, stable for ever. */
export function shortHash(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 8);
}

export function defaultCookieName(scope: string): string {
  return `hf-${shortHash(scope)}`;
}
