/** Where browsers file a policy's cookie: two cookies of one name in one place overwrite each other. */
import type { TokenCookieKey } from '../../model/policy.ts';

/**
 * The (host or Domain, Path) pairs under which the cookie is kept when served on `hosts` (as in `VirtualHost.host`).
 * A wildcard host is a place of its own: a name with an exact entry is never served by the wildcard.
 */
export function cookiePlaces(key: TokenCookieKey, hosts: Iterable<string>): string[] {
  const domains = key.domains.map(normalizeDomain);
  const places = new Set<string>();
  for (const host of hosts) {
    const covering = domains.filter((domain) => covers(domain, host));
    for (const domain of covering) places.add(`domain ${domain}\0${key.path}`);
    // Rules without a host serve names that the domains cover and names that they do not.
    if (covering.length === 0 || host === '') places.add(`host ${host}\0${key.path}`);
  }
  return [...places];
}

/** RFC 6265 section 5.2.3: case-insensitive, a leading dot ignored. */
function normalizeDomain(domain: string): string {
  return domain.replace(/^\./, '').toLowerCase();
}

function covers(domain: string, host: string): boolean {
  if (host === '') return true;
  const name = host.startsWith('*.') ? host.slice(2) : host;
  return name === domain || name.endsWith(`.${domain}`);
}
