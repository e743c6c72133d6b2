/** The URL of the session store: `redis://`, `rediss://` (TLS), and either with `+sentinel` or `+cluster`. */
import type { HostPort, SessionStoreAddress } from './config.ts';

const URL_PARTS = /^redis(s?)(\+sentinel|\+cluster)?:\/\/(?:([^@/]*)@)?([^/?#@]+)((?:\/[^/?#]*)*)(?:\?([^#]*))?$/;
const NODE = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]\s]+))(?::(\d{1,5}))?$/;
const MASTER = /^[\w.-]{1,128}$/;
const REDIS_PORT = 6379;
const SENTINEL_PORT = 26379;

/** undefined = it is none. */
export function parseStoreUrl(url: string): SessionStoreAddress | undefined {
  const [matched, secure, mode, login = '', hosts = '', path = '', query = ''] = URL_PARTS.exec(url) ?? [];
  if (matched === undefined) return undefined;
  const kind = mode === '+sentinel' ? 'sentinel' : mode === '+cluster' ? 'cluster' : 'single';
  const nodes = hosts.split(',').map((host) => parseNode(host, kind === 'sentinel' ? SENTINEL_PORT : REDIS_PORT));
  const known = nodes.filter((node) => node !== undefined);
  const place = parsePath(path.split('/').slice(1), kind);
  const credentials = parseLogin(login, query, kind);
  if (known.length < nodes.length || place === undefined || credentials === undefined) return undefined;
  if (kind === 'single' && nodes.length > 1) return undefined;
  return { kind, tls: secure === 's', nodes: known, ...place, ...credentials };
}

function parseNode(text: string, defaultPort: number): HostPort | undefined {
  const [matched, v6, name, port] = NODE.exec(text) ?? [];
  const number = port === undefined ? defaultPort : Number(port);
  return matched === undefined || number < 1 || number > 65535 ? undefined : { host: v6 ?? name ?? '', port: number };
}

/** `/DB`, or with Sentinel `/MASTER` and `/MASTER/DB`. */
function parsePath(
  path: readonly string[],
  kind: SessionStoreAddress['kind'],
): Pick<SessionStoreAddress, 'master' | 'database'> | undefined {
  const [master = '', ...rest] = kind === 'sentinel' ? path : ['', ...path];
  const [database = '', ...more] = rest;
  if (more.length > 0 || !/^\d{0,4}$/.test(database)) return undefined;
  if (kind === 'sentinel' && !MASTER.test(master)) return undefined;
  if (kind === 'cluster' && Number(database) !== 0) return undefined;
  return { master, database: Number(database) };
}

/** `user:password` or `:password`, percent-encoded; Sentinels have a password of their own. */
function parseLogin(
  login: string,
  query: string,
  kind: SessionStoreAddress['kind'],
): Pick<SessionStoreAddress, 'username' | 'password' | 'sentinelPassword'> | undefined {
  const colon = login.indexOf(':');
  const parameters = new URLSearchParams(query);
  for (const name of parameters.keys()) if (kind !== 'sentinel' || name !== 'sentinel-password') return undefined;
  try {
    const username = decodeURIComponent(colon < 0 ? login : login.slice(0, colon)) || undefined;
    const password = colon < 0 ? undefined : decodeURIComponent(login.slice(colon + 1)) || undefined;
    // A user without a password cannot log in, and a password that forgot its colon would be taken for one.
    if (username !== undefined && password === undefined) return undefined;
    return { username, password, sentinelPassword: parameters.get('sentinel-password') ?? undefined };
  } catch {
    return undefined;
  }
}
