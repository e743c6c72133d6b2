/** Makes the StickyPolicy spec that an Ingress's annotations stand for. */
import type { CookieRule, Rule, StickyPolicySpec } from '../../model/sticky-policy.ts';
import type { AnnotationSettings } from './table.ts';

/**
 * undefined = the annotations ask for nothing about sessions or balancing. The spec has no targets: it is the Ingress's
 * own. `sticky-policy` is the compiler's business and plays no part here.
 */
export function policyFromAnnotations(settings: AnnotationSettings): StickyPolicySpec | undefined {
  const { affinity, balance, idleTimeout, absoluteTimeout, onEndpointLost, drainTimeout } = settings;
  // `balance` alone is a wish too: free balancing, by that algorithm.
  if (affinity === undefined && balance === undefined) return undefined;
  return {
    rules: [toRule(settings)],
    ...(idleTimeout === undefined && absoluteTimeout === undefined
      ? {}
      : { session: { ...defined('idleTimeout', idleTimeout), ...defined('absoluteTimeout', absoluteTimeout) } }),
    ...(balance === undefined ? {} : { newSession: { algorithm: balance } }),
    ...(onEndpointLost === undefined ? {} : { onEndpointLost: { action: onEndpointLost } }),
    ...(drainTimeout === undefined ? {} : { drain: { maxDuration: drainTimeout } }),
  };
}

function toRule(settings: AnnotationSettings): Rule {
  const affinity = settings.affinity ?? 'none';
  switch (affinity) {
    case 'cookie':
      return { name: affinity, cookie: toCookie(settings) };
    case 'header':
      return { name: affinity, header: { name: settings.headerName ?? '', mode: 'Hash' } };
    case 'source-ip':
      return { name: affinity, sourceIP: { mode: 'Hash' } };
    case 'none':
      return { name: affinity, none: {} };
  }
}

function toCookie(settings: AnnotationSettings): CookieRule {
  const { cookieDomain } = settings;
  return {
    mode: 'Insert',
    ...defined('name', settings.cookieName),
    ...defined('path', settings.cookiePath),
    ...defined('domains', cookieDomain === undefined ? undefined : [cookieDomain]),
    ...defined('sameSite', settings.cookieSameSite),
    ...defined('secure', settings.cookieSecure),
    ...defined('maxAge', settings.cookieMaxAge),
  };
}

/** `{key: value}`, or nothing when there is no value: an unset field stays absent. */
function defined<K extends string, V>(key: K, value: V | undefined): Partial<Record<K, V>> {
  return value === undefined ? {} : ({ [key]: value } as Record<K, V>);
}
