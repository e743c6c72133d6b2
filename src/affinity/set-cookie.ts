/** Writing our Set-Cookie value for a cookie rule. */
import type { RequestFacts } from '../model/facts.ts';
import type { TokenCookieKey } from '../model/policy.ts';

/** `now` in ms: Expires is computed per response, never once for all (RFC 6265 section 4.1.2). */
export function serializeSetCookie(
  key: TokenCookieKey,
  name: string,
  value: string,
  facts: RequestFacts,
  now: number,
): string {
  let text = `${name}=${value}; Path=${key.path}`;
  const domain = coveringDomain(key.domains, facts.host);
  if (domain !== undefined) text += `; Domain=${domain}`;
  if (key.maxAge > 0) {
    text += `; Max-Age=${key.maxAge}; Expires=${new Date(now + key.maxAge * 1000).toUTCString()}`;
  }
  if (key.httpOnly) text += '; HttpOnly';
  if (key.secure === 'Always' || (key.secure === 'Auto' && facts.scheme === 'https')) text += '; Secure';
  if (key.sameSite !== 'Unset' && !omitsNone(key, facts)) text += `; SameSite=${key.sameSite}`;
  if (key.partitioned) text += '; Partitioned';
  for (const attribute of key.attributes) text += `; ${attribute}`;
  return text;
}

/** The first domain that the host lies in (RFC 6265 section 5.1.3); without one the cookie is host-only. */
function coveringDomain(domains: readonly string[], host: string): string | undefined {
  return domains
    .map((domain) => (domain.startsWith('.') ? domain.slice(1) : domain))
    .find((domain) => host === domain || host.endsWith(`.${domain}`));
}

function omitsNone(key: TokenCookieKey, facts: RequestFacts): boolean {
  if (key.sameSite !== 'None' || !key.conditionalSameSiteNone) return false;
  return mishandlesNone(facts.header('user-agent') ?? '');
}

const INCOMPATIBLE = ['Chrome/4', 'Chrome/5', 'Chrome/6', 'CPU iPhone OS 12', 'iPad; CPU OS 12'];

/**
 * Clients that take SameSite=None for Strict or drop the cookie: the list that ingress-nginx uses
 * (https://www.chromium.org/updates/same-site/incompatible-clients/).
 */
function mishandlesNone(agent: string): boolean {
  if (INCOMPATIBLE.some((part) => agent.includes(part))) return true;
  const mojave = agent.includes('Macintosh') && agent.includes('Intel Mac OS X 10_14');
  return mojave && agent.includes('Safari') && !agent.includes('Chrome');
}
