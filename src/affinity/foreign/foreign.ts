/** Sessions that another product has begun: which endpoint its cookie means here. */
import type { RequestFacts } from '../../model/facts.ts';
import type { LivePool } from '../../model/live.ts';
import type { ForeignCookie } from '../../model/policy.ts';
import { cookieValues } from '../../rules/cookie/read.ts';
import type { LiveAffinity } from '../build.ts';
import type { DecideEnv } from '../env.ts';
import { hashText } from '../rendezvous.ts';
import type { VerifiedToken } from '../token.ts';
import {
  namesOfAddress,
  namesOfServer,
  nginxBackendKey,
  nginxBackends,
  serverName,
  withoutRouteDomain,
} from './names.ts';
import { readForeign } from './read-value.ts';
import type { ForeignValue } from './read-value.ts';

/**
 * The first accepted cookie of a request that means an endpoint of `pool`, as if it were a token of ours; undefined =
 * there is none. Of several backends only the primary one is meant: anybody can forge such a cookie, and would choose.
 */
export function foreignToken(
  accept: readonly ForeignCookie[],
  live: LiveAffinity,
  pool: LivePool,
  facts: RequestFacts,
  env: DecideEnv,
): VerifiedToken | undefined {
  const primary = pool.parts?.[0]?.pool ?? pool;
  for (const cookie of accept) {
    if (env.now >= cookie.until) continue;
    for (const value of cookieValues(facts.cookie, [cookie.name])) {
      for (const read of readForeign(cookie.product, value, env.now)) {
        const index = endpointIn(cookie, read, primary);
        if (index >= 0) return asToken(index, read, live, primary, facts);
      }
    }
  }
  return undefined;
}

const words = { 0: 0, 1: 0 };

function asToken(
  index: number,
  { lastSeen, firstSeen }: ForeignValue,
  live: LiveAffinity,
  pool: LivePool,
  facts: RequestFacts,
): VerifiedToken | undefined {
  // The products name no session. All cookies of a client do, and parallel requests send the same.
  hashText(`${facts.clientAddress} ${facts.cookie}`, words);
  const session = { sessionHigh: words[0], sessionLow: words[1] };
  for (const [keyId, prefixes] of pool.identity[live.policy.identity].prefixes) {
    const prefix = prefixes[index];
    if (prefix === undefined) continue;
    const { scope } = live.affinity;
    return {
      text: '',
      prefix,
      scope,
      keyId,
      ...session,
      issuedAt: firstSeen,
      lastSeen,
      backend: 0,
      version: 0,
      plainId: '',
    };
  }
  return undefined;
}

/** A pool's endpoints by what one accepted cookie may say. */
interface Names {
  readonly indices: ReadonlyMap<string, number>;
  /** IngressNginx: second parts that mean this pool. */
  readonly backends: readonly string[];
}

/** Pools are replaced, never changed: each is looked through once, when the first such cookie comes. */
const made = new WeakMap<ForeignCookie, WeakMap<LivePool, Names>>();

/** -1 = none. */
function endpointIn(cookie: ForeignCookie, { id, backend }: ForeignValue, pool: LivePool): number {
  const names = namesIn(cookie, pool);
  if (backend !== '' && !names.backends.includes(backend)) return -1;
  return names.indices.get(cookie.product === 'F5' ? withoutRouteDomain(id) : id) ?? -1;
}

function namesIn(cookie: ForeignCookie, pool: LivePool): Names {
  let pools = made.get(cookie);
  if (pools === undefined) made.set(cookie, (pools = new WeakMap()));
  let names = pools.get(pool);
  if (names === undefined) pools.set(pool, (names = makeNames(cookie, pool)));
  return names;
}

function makeNames({ product, ids }: ForeignCookie, pool: LivePool): Names {
  const indices = new Map<string, number>();
  const add = (index: number, names: readonly string[]) => {
    for (const name of names) if (!indices.has(name)) indices.set(name, index);
  };
  // Those that the policy lists come first, and mean their pod whatever its state.
  for (const [server, pod] of Object.entries(ids)) {
    const index = pool.endpoints.findIndex((endpoint) => endpoint.pod === pod);
    const listed = product === 'F5' ? withoutRouteDomain(server) : server;
    if (index >= 0) add(index, [listed, ...namesOfServer(product, server, pool)]);
  }
  // A pod that is not Ready may have inherited the address of the one that was meant.
  for (const { endpoint, index } of readyOf(pool)) {
    add(index, namesOfServer(product, serverName(product, endpoint), pool));
    add(index, namesOfAddress(product, endpoint));
  }
  const backends = product === 'IngressNginx' ? nginxBackends(pool).map(nginxBackendKey) : [];
  return { indices, backends };
}

function readyOf(pool: LivePool) {
  return [...pool.ready].flatMap((index) => {
    const endpoint = pool.endpoints[index];
    return endpoint === undefined ? [] : [{ endpoint, index }];
  });
}
