/** Normalises a request's authority to the host name that routes are looked up by. */

/** Lower case, no port, no trailing dot: nearly every request. */
const NORMAL = /^[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?$/;
/** Names hold unreserved characters only: no percent escapes, no user information, no `*` (RFC 3986 section 3.2.2, less what no resolver knows). */
const AUTHORITY = /^(?<name>[A-Za-z0-9._~-]+|\[[0-9A-Fa-f:.]+\])(?::(?<port>[0-9]{0,5}))?$/;

/**
 * Host of an authority (`Host` field value or the authority of an absolute request-target): lower case, without port and
 * one trailing dot. The empty authority gives the empty host, which only rules without a host match (RFC 9112 section 3.2).
 *
 * @returns undefined when it is not a valid authority
 */
export function normalizeHost(authority: string): string | undefined {
  if (NORMAL.test(authority) || authority === '') return authority;
  const groups = AUTHORITY.exec(authority)?.groups;
  if (groups === undefined || Number(groups['port'] ?? 0) > 65535) return undefined;
  const name = (groups['name'] ?? '').toLowerCase();
  const host = name.endsWith('.') ? name.slice(0, -1) : name;
  return host === '' ? undefined : host;
}
