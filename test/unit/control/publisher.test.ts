/** Deltas: a worker fed change by change stands where one stands that is given everything at once. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { KeyRing } from '../../../src/affinity/keyring.ts';
import { Publisher } from '../../../src/control/publisher.ts';
import type { IdentityKind } from '../../../src/model/ids.ts';
import type { Pool } from '../../../src/model/pool.ts';
import type { CompiledPolicy } from '../../../src/model/policy.ts';
import type { Route, Table, VirtualHost } from '../../../src/model/table.ts';
import { compileRe2 } from '../../../src/rules/re2.ts';
import { createBlocks } from '../../../src/shared/cells.ts';
import { Counted } from '../../../src/shared/counted.ts';
import type { TableDelta } from '../../../src/shared/messages.ts';
import { TlsProfile } from '../../../src/upstream/tls.ts';
import { TableBuilder } from '../../../src/worker/table-builder.ts';

const KEYS = [{ id: 3, key: new Uint8Array(32).fill(7), issueFrom: 0 }];
const WORKERS = 2;

function builder(retired: number[] = []): TableBuilder {
  return new TableBuilder({
    blocks: createBlocks(WORKERS),
    row: 1,
    clock: Date.now,
    compileRegex: compileRe2,
    keyRing: (keys) => KeyRing.from(keys),
    tlsProfile: (settings) => new TlsProfile(settings, () => undefined),
    onTlsRetired: () => undefined,
    onRetired: (slot) => retired.push(slot),
  });
}

function publisher(): { publisher: Publisher; counted: Counted; deltas: TableDelta[] } {
  const counted = new Counted(WORKERS);
  const made = new Publisher(counted, () => 1000, false);
  const keys = made.publishKeys(KEYS, KeyRing.from(KEYS), []);
  return { publisher: made, counted, deltas: [keys] };
}

/** Feeds a delta as a message would arrive; a worker's first one brings all chunks. */
function feed(to: TableBuilder, deltas: readonly TableDelta[], counted: Counted): void {
  for (const [i, delta] of deltas.entries()) {
    to.apply(structuredCloneKeepingShared(i === 0 ? { ...delta, chunks: counted.allChunks() } : delta));
  }
}

function structuredCloneKeepingShared(delta: TableDelta): TableDelta {
  return { ...structuredClone({ ...delta, chunks: [] }), chunks: delta.chunks };
}

function pool(name: string, pods: readonly number[]): Pool {
  return {
    key: `ns/${name}:80`,
    namespace: 'ns',
    service: name,
    port: 80,
    endpoints: pods.map((pod) => ({
      address: '127.0.0.1',
      port: 9000 + pod,
      state: pod % 3 === 2 ? 'Draining' : 'Ready',
      since: 5,
      wasReady: true,
      pod: `${name}-${pod}`,
      podNamespace: 'ns',
      podUid: `${name}${pod}`,
    })),
  };
}

function policy(name: string, attempts: number, identity: IdentityKind): CompiledPolicy {
  const key = {
    kind: 'header',
    mode: 'Hash',
    algorithm: 'Rendezvous',
    maxLoadFactor: 0,
    name: 'x-id',
    extract: undefined,
  } as const;
  return {
    id: `ns/${name}`,
    namespace: 'ns',
    name,
    group: undefined,
    stickTo: 'Pod',
    identity,
    idleTimeout: 0,
    absoluteTimeout: 0,
    rules: [{ name: 'id', when: undefined, onMissing: 'Next', force: false, key }],
    algorithm: 'LeastRequests',
    slowStart: 0,
    maxSessionsPerEndpoint: 0,
    onFull: 'Overflow',
    lost: { action: 'Reassign', statusCode: 503, notReadyGrace: 3000, goneGrace: 0, preferVersion: 'Any' },
    drain: { action: 'Keep', maxDuration: 0 },
    retry: { attempts, changeOnFailure: true },
  };
}

const KINDS: readonly IdentityKind[] = ['PodUID', 'PodName', 'Address'];

function allOf(pools: ReadonlyMap<string, Pool>): Parameters<Publisher['publishTable']>[1] {
  const of = (service: string) => [...pools.values()].filter(({ key }) => key.startsWith(`${service}:`));
  return { all: pools, of };
}

interface Draft {
  readonly hosts: readonly { readonly host: string; readonly service: string; readonly policy: string | undefined }[];
  readonly attempts: number;
  readonly identity: IdentityKind;
  readonly pods: Readonly<Record<string, readonly number[]>>;
}

function tableOf(draft: Draft): { table: Table; pools: ReadonlyMap<string, Pool> } {
  const pools = new Map(Object.entries(draft.pods).map(([name, pods]) => [`ns/${name}:80`, pool(name, pods)]));
  const used = draft.hosts.filter(({ service }) => pools.has(`ns/${service}:80`));
  const affinityId = (entry: (typeof used)[number]) => `ns/${entry.policy}>${entry.service}`;
  const hosts = new Map(
    used.map((entry): [string, VirtualHost] => {
      const affinity = entry.policy === undefined ? undefined : affinityId(entry);
      const base = { namespace: 'ns', ingress: 'in', path: '/', pathType: 'Prefix', service: entry.service } as const;
      const route: Route = { ...base, pool: `ns/${entry.service}:80`, affinity };
      return [entry.host, { host: entry.host, routes: [route], fallback: undefined }];
    }),
  );
  const sticky = [...hosts.keys()].flatMap(
    (host) =>
      used.findLast(
        (entry) =>
          entry.host === host &&
          entry.policy !== undefined &&
          hosts.get(host)?.routes[0]?.affinity === affinityId(entry),
      ) ?? [],
  );
  const policies = new Map(
    sticky.map((entry) => [`ns/${entry.policy}`, policy(entry.policy ?? '', draft.attempts, draft.identity)]),
  );
  const affinities = new Map(
    sticky.map((entry) => {
      const scope = `ns/${entry.policy}/${entry.service}`;
      const id = affinityId(entry);
      return [
        id,
        {
          id,
          policy: `ns/${entry.policy}`,
          service: entry.service,
          scope,
          ownScope: scope,
          groupPools: [],
          siblingCookies: [],
          cookieNames: [undefined],
        },
      ];
    }),
  );
  return {
    table: {
      hosts,
      fallback: undefined,
      policies,
      affinities,
      pools: new Map(),
      tlsHosts: new Map(),
      clientAuthorities: new Map(),
      certificates: new Map(),
      upstreamTls: new Map(),
    },
    pools,
  };
}

/** What a request to each host would meet. */
function view(worker: TableBuilder): unknown {
  return ['a', 'b', 'c', 'd'].map((host) => {
    const route = worker.table.find(host, '/');
    return {
      service: route?.route.service,
      endpoints: route?.pool?.live.endpoints,
      ready: route?.pool?.live.ready,
      prefixes: KINDS.map((kind) => route?.pool?.live.identity[kind].byPrefix),
      attempts: route?.affinity?.live.policy.retry.attempts,
      requests: route?.requests.at,
      rules: route?.affinity?.rules.map(({ at }) => at),
    };
  });
}

const drafts: fc.Arbitrary<Draft> = fc.record({
  hosts: fc.uniqueArray(
    fc.record({
      host: fc.constantFrom('a', 'b', 'c', 'd'),
      service: fc.constantFrom('s', 't', 'u'),
      policy: fc.constantFrom(undefined, 'p', 'q'),
    }),
    { selector: ({ host }) => host },
  ),
  attempts: fc.nat({ max: 2 }),
  identity: fc.constantFrom(...KINDS),
  pods: fc.dictionary(fc.constantFrom('s', 't', 'u'), fc.uniqueArray(fc.nat({ max: 5 }), { maxLength: 4 }), {
    noNullPrototype: true,
  }),
});

test('any series of tables: change by change = everything at once', () => {
  fc.assert(
    fc.property(fc.array(drafts, { minLength: 1, maxLength: 6 }), (series) => {
      const { publisher: sender, counted, deltas } = publisher();
      for (const draft of series) {
        const { table, pools } = tableOf(draft);
        deltas.push(sender.publishTable(table, allOf(pools)));
      }
      const byChange = builder();
      feed(byChange, deltas, counted);
      const atOnce = builder();
      feed(atOnce, [sender.everything()], counted);
      expect(view(byChange)).toEqual(view(atOnce));
    }),
    { numRuns: 300 },
  );
});

test('an unchanged table sends nothing but its version; a changed pool sends only itself', () => {
  const { publisher: sender } = publisher();
  const draft: Draft = {
    hosts: [{ host: 'a', service: 's', policy: 'p' }],
    attempts: 1,
    identity: 'PodUID',
    pods: { s: [0, 1] },
  };
  const { table, pools } = tableOf(draft);
  sender.publishTable(table, allOf(pools));
  const again = sender.publishTable(tableOf(draft).table, allOf(pools));
  expect({ ...again, version: 0 }).toMatchObject({
    hosts: [],
    policies: [],
    affinities: [],
    pools: [],
    slots: [],
    removedHosts: [],
  });
  const delta = sender.publishPools([pool('s', [0, 1, 2])]);
  expect(delta.pools.map(({ key }) => key)).toEqual(['ns/s:80']);
  expect(delta.hosts).toEqual([]);
});

test('a changed policy reaches the routes that stay as they are', () => {
  const { publisher: sender, counted, deltas } = publisher();
  const draft: Draft = {
    hosts: [{ host: 'a', service: 's', policy: 'p' }],
    attempts: 1,
    identity: 'PodUID',
    pods: { s: [0] },
  };
  const before = tableOf(draft);
  deltas.push(sender.publishTable(before.table, allOf(before.pools)));
  const worker = builder();
  feed(worker, deltas, counted);
  const route = worker.table.find('a', '/');
  const delta = sender.publishTable(tableOf({ ...draft, attempts: 2 }).table, allOf(before.pools));
  expect(delta.hosts).toEqual([]);
  worker.apply(delta);
  expect(worker.table.find('a', '/')).toBe(route);
  expect(route?.affinity?.live.policy.retry.attempts).toBe(2);
});

test('only the identity that policies tell endpoints by is looked up, and an edited policy’s is from then on', () => {
  const { publisher: sender, counted, deltas } = publisher();
  const hosts = [
    { host: 'a', service: 's', policy: 'p' },
    { host: 'b', service: 't', policy: undefined },
  ];
  const draft: Draft = { hosts, attempts: 1, identity: 'PodUID', pods: { s: [0, 1], t: [0] } };
  const { pools } = tableOf(draft);
  const worker = builder();
  const lookedUp = (host: string) =>
    KINDS.filter((kind) => worker.table.find(host, '/')?.pool?.live.identity[kind].byPrefix.size !== 0);
  deltas.push(sender.publishTable(tableOf(draft).table, allOf(pools)));
  feed(worker, deltas, counted);
  expect([lookedUp('a'), lookedUp('b')]).toEqual([['PodUID'], []]);
  worker.apply(sender.publishTable(tableOf({ ...draft, identity: 'PodName' }).table, allOf(pools)));
  expect([lookedUp('a'), lookedUp('b')]).toEqual([['PodName'], []]);
  worker.apply(sender.publishTable(tableOf({ ...draft, hosts: hosts.slice(1) }).table, allOf(pools)));
  expect(lookedUp('b')).toEqual([]);
});

test('an endpoint that leaves is retired in the worker, one that stays is not', () => {
  const { publisher: sender, counted, deltas } = publisher();
  const { table, pools } = tableOf({
    hosts: [{ host: 'a', service: 's', policy: undefined }],
    attempts: 1,
    identity: 'PodUID',
    pods: { s: [0, 1] },
  });
  deltas.push(sender.publishTable(table, allOf(pools)));
  const retired: number[] = [];
  const worker = builder(retired);
  feed(worker, deltas, counted);
  const gone = worker.table.find('a', '/')?.pool?.live.endpoints.find(({ pod }) => pod === 's-0')?.slot;
  worker.apply(sender.publishPools([pool('s', [1])]));
  expect(retired).toEqual([gone]);
});

test('how many replicas there are, and what was said of sessions, reaches workers old and new', () => {
  const { publisher: made, counted, deltas } = publisher();
  const over = { high: 1, low: 2, from: 3, until: 4 };
  const kept = { ...over, low: 5, to: 'there' };
  deltas.push(made.publishReplicas(3), made.publishOverrides([over, kept], []), made.publishOverrides([], [over]));
  const old = builder();
  feed(old, deltas, counted);
  const fresh = builder();
  feed(fresh, [made.everything()], counted);
  for (const { replicas, overrides } of [old, fresh]) {
    expect(replicas).toBe(3);
    expect([...overrides]).toEqual([kept]);
  }
  expect(old.overrides.size).toBe(1);
});
