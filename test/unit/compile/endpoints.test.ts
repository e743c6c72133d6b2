/** EndpointSlices to pools. */
import { describe, expect, it } from 'vitest';
import { buildPool, endpointState } from '../../../src/compile/endpoints.ts';
import type { IdentityKind } from '../../../src/model/ids.ts';
import { identityOf, type Endpoint, type Pool } from '../../../src/model/pool.ts';
import type { EndpointSlice, Pod, SliceEndpoint } from '../../../src/model/resources.ts';
import type { PoolSpec } from '../../../src/model/table.ts';

const SPEC: PoolSpec = {
  key: 'ns/web:80',
  namespace: 'ns',
  service: 'web',
  serviceKey: 'ns/web',
  port: 80,
  portName: 'http',
  ipFamily: 'IPv4',
  publishNotReadyAddresses: false,
};

type Conditions = Partial<Pick<SliceEndpoint, 'ready' | 'serving' | 'terminating'>>;

function pod(name: string, address: string, conditions: Conditions = {}): SliceEndpoint {
  const targetRef = { kind: 'Pod', namespace: 'ns', name, uid: `uid-${name}` };
  return {
    address,
    ready: undefined,
    serving: undefined,
    terminating: undefined,
    targetRef,
    index: 0,
    ...conditions,
  };
}

const KINDS: readonly IdentityKind[] = ['PodUID', 'PodName', 'Address'];

function identities(endpoint: Endpoint | undefined): string[] {
  return endpoint === undefined ? [] : KINDS.map((kind) => identityOf(endpoint, kind));
}

function bare(address: string, conditions: Conditions = {}): SliceEndpoint {
  return { ...pod('', address, conditions), targetRef: undefined };
}

function slice(name: string, endpoints: readonly SliceEndpoint[], change: Partial<EndpointSlice> = {}): EndpointSlice {
  const meta = {
    namespace: 'ns',
    name,
    uid: '',
    generation: 1,
    creationTimestamp: undefined,
    annotations: {},
    labels: {},
  };
  const ports = [{ name: 'http', port: 8080, protocol: 'TCP', index: 0 }];
  const indexed = endpoints.map((endpoint, index) => ({ ...endpoint, index }));
  return { kind: 'EndpointSlice', meta, service: 'web', addressType: 'IPv4', ports, endpoints: indexed, ...change };
}

function build(
  slices: readonly EndpointSlice[],
  options: { spec?: Partial<PoolSpec>; previous?: Pool; now?: number } = {},
): Pool {
  const { pool, problems } = buildPool({ ...SPEC, ...options.spec }, slices, options.previous, options.now ?? 1000);
  expect(problems).toEqual([]);
  return pool;
}

const brief = (pool: Pool): string[] =>
  pool.endpoints.map(({ pod: name, address, port, state }) => `${name} ${address}:${port} ${state}`);

describe('endpointState', () => {
  const values = [undefined, true, false];
  const combinations = values.flatMap((ready) =>
    values.flatMap((serving) => values.map((terminating) => ({ ready, serving, terminating }))),
  );

  // Written out by hand from the API reference; t = true, f = false, - = null; order ready, serving, terminating.
  const expected: Readonly<Record<string, string>> = {
    '---': 'Ready',
    '--t': 'Draining',
    '--f': 'Ready',
    '-t-': 'Ready',
    '-tt': 'Draining',
    '-tf': 'Ready',
    '-f-': 'Ready',
    '-ft': 'gone',
    '-ff': 'Ready',
    't--': 'Ready',
    't-t': 'Draining',
    't-f': 'Ready',
    'tt-': 'Ready',
    ttt: 'Draining',
    ttf: 'Ready',
    'tf-': 'Ready',
    tft: 'gone',
    tff: 'Ready',
    'f--': 'NotReady',
    'f-t': 'gone',
    'f-f': 'NotReady',
    'ft-': 'NotReady',
    ftt: 'Draining',
    ftf: 'NotReady',
    'ff-': 'NotReady',
    fft: 'gone',
    fff: 'NotReady',
  };
  const letter = (value: boolean | undefined): string => (value === undefined ? '-' : value ? 't' : 'f');

  it.each(combinations.map((c) => [letter(c.ready) + letter(c.serving) + letter(c.terminating), c] as const))(
    'T37 conditions %s',
    (key, conditions) => {
      expect(endpointState(pod('a', '10.0.0.1', conditions)) ?? 'gone').toBe(expected[key]);
    },
  );

  it('covers all 27 combinations', () => {
    expect(combinations).toHaveLength(27);
    expect(Object.keys(expected)).toHaveLength(27);
  });
});

describe('buildPool', () => {
  it('makes endpoints with an identity of each kind', () => {
    const pool = build([slice('s', [pod('a', '10.0.0.1')])]);
    expect(pool.endpoints).toEqual([
      {
        address: '10.0.0.1',
        port: 8080,
        state: 'Ready',
        since: 0,
        wasReady: true,
        pod: 'a',
        podNamespace: 'ns',
        podUid: 'uid-a',
      },
    ]);
    expect(identities(pool.endpoints[0])).toEqual(['uid:uid-a', 'pod:ns/a', 'addr:10.0.0.1:8080']);
  });

  it('T36 falls back to the address identity without a targetRef', () => {
    const [endpoint] = build([slice('s', [bare('10.0.0.1')])]).endpoints;
    expect(endpoint?.pod).toBe('10.0.0.1:8080');
    expect(identities(endpoint)).toEqual(Array(3).fill('addr:10.0.0.1:8080'));
  });

  it('T40 gives the same order whatever the order of slices and endpoints', () => {
    const all = ['10.0.0.9', '10.0.0.10', '10.0.0.1', '10.0.0.2'].map((address) => pod(`p-${address}`, address));
    const one = build([slice('a', all.slice(0, 2)), slice('b', all.slice(2))]);
    const other = build([slice('b', all.slice(2).reverse()), slice('a', all.slice(0, 2).reverse())]);
    expect(other).toEqual(one);
    expect(one.endpoints.map((endpoint) => identityOf(endpoint, 'Address'))).toEqual(
      ['addr:10.0.0.10:8080', 'addr:10.0.0.1:8080', 'addr:10.0.0.2:8080', 'addr:10.0.0.9:8080'].sort(),
    );
  });

  it('T35 one pod in two slices is one endpoint in its best state', () => {
    const pool = build([slice('a', [pod('a', '10.0.0.1', { ready: false })]), slice('b', [pod('a', '10.0.0.1')])]);
    expect(brief(pool)).toEqual(['a 10.0.0.1:8080 Ready']);
  });

  it('T35 one pod in slices of both families is dialled at the Service’s first family', () => {
    const slices = [slice('a', [pod('a', '10.0.0.1')]), slice('b', [pod('a', 'fd00::1')], { addressType: 'IPv6' })];
    expect(brief(build(slices))).toEqual(['a 10.0.0.1:8080 Ready']);
    expect(brief(build(slices, { spec: { ipFamily: 'IPv6' } }))).toEqual(['a fd00::1:8080 Ready']);
    const [endpoint] = build(slices, { spec: { ipFamily: 'IPv6' } }).endpoints;
    expect(identities(endpoint)[2]).toBe('addr:[fd00::1]:8080');
  });

  it('T35 the other family’s better state counts, the preferred family’s address is dialled', () => {
    const slices = [
      slice('a', [pod('a', '10.0.0.1', { ready: false })]),
      slice('b', [pod('a', 'fd00::1')], { addressType: 'IPv6' }),
    ];
    expect(brief(build(slices))).toEqual(['a 10.0.0.1:8080 Ready']);
  });

  it('T35 an address that stands there with and without its pod is one endpoint', () => {
    const pool = build([slice('a', [bare('10.0.0.1')]), slice('b', [pod('a', '10.0.0.1', { ready: false })])]);
    expect(brief(pool)).toEqual(['a 10.0.0.1:8080 Ready']);
  });

  it('T35 a split or re-created slice changes no identity and no since', () => {
    const before = build([slice('a', [pod('a', '10.0.0.1'), pod('b', '10.0.0.2')])], { now: 1 });
    const after = build([slice('x', [pod('b', '10.0.0.2')]), slice('y', [pod('a', '10.0.0.1')])], {
      now: 2,
      previous: before,
    });
    expect(after).toEqual(before);
  });

  it('a new pod at the address of one that just went is another endpoint', () => {
    const before = build([slice('a', [pod('old', '10.0.0.1')])], { now: 1 });
    const after = build([slice('a', [pod('old', '10.0.0.1', { ready: false }), pod('new', '10.0.0.1')])], {
      now: 2,
      previous: before,
    });
    expect(after.endpoints.map(({ pod: name, since }) => [name, since])).toEqual([['new', 2]]);
  });

  it('knows which NotReady pods were Ready before: neither those that start, nor those of an old UID', () => {
    const [yes, no] = [{ ready: true }, { ready: false }];
    const steps = [[no], [yes], [no], [no, no], [no, yes], [yes, no]];
    let previous: Pool | undefined;
    const seen = steps.map((conditions, step) => {
      const endpoints = conditions.map((condition, i) => pod('ab'[i] ?? '', `10.0.0.${i + 1}`, condition));
      previous = build([slice('s', endpoints)], { now: step, ...(previous !== undefined && { previous }) });
      return previous.endpoints.map(({ wasReady }) => wasReady);
    });
    expect(seen).toEqual([[false], [true], [true], [true, false], [true, true], [true, true]]);
    const recreated = {
      ...pod('a', '10.0.0.1', no),
      targetRef: { kind: 'Pod', namespace: 'ns', name: 'a', uid: 'new' },
    };
    expect(
      build([slice('s', [recreated])], { now: 9, ...(previous !== undefined && { previous }) }).endpoints,
    ).toMatchObject([{ pod: 'a', wasReady: false }]);
  });

  it('keeps since while the state lasts, and starts anew when it changes', () => {
    const first = build([slice('a', [pod('a', '10.0.0.1'), pod('b', '10.0.0.2')])], { now: 1 });
    const drained = [pod('a', '10.0.0.1', { terminating: true, serving: true }), pod('b', '10.0.0.2')];
    const second = build([slice('a', drained)], { now: 2, previous: first });
    const third = build([slice('a', drained)], { now: 3, previous: second });
    expect(second.endpoints.map(({ state, since }) => [state, since])).toEqual([
      ['Draining', 2],
      ['Ready', 0],
    ]);
    expect(third).toEqual(second);
  });

  it('knows the versions of pods, and the newest: that of the pod made last', () => {
    const slices = [
      slice('a', [pod('a', '10.0.0.1'), pod('b', '10.0.0.2'), pod('c', '10.0.0.3'), pod('d', '10.0.0.4')]),
    ];
    const versions = new Map([
      ['ns/a', { version: 'v1', created: 50, uid: 'uid-a' }],
      ['ns/b', { version: 'v2', created: 80, uid: 'uid-b' }],
      // A rollback: made again, and last.
      ['ns/c', { version: 'v1', created: 90, uid: 'uid-c' }],
      // Of a namesake that is gone.
      ['ns/d', { version: 'v9', created: 99, uid: 'other' }],
    ]);
    const { pool } = buildPool(SPEC, slices, undefined, 1, undefined, versions);
    expect(pool.endpoints.map(({ version }) => version)).toEqual(['v1', 'v2', 'v1', undefined]);
    expect(pool.newest).toBe('v1');
    expect(buildPool(SPEC, slices, undefined, 1).pool.newest).toBeUndefined();
  });

  it('takes nothing for new that was there before us, and all that becomes Ready later', () => {
    const first = build([slice('a', [pod('a', '10.0.0.1'), pod('b', '10.0.0.2', { ready: false })])], { now: 1 });
    const later = build([slice('a', [pod('a', '10.0.0.1'), pod('b', '10.0.0.2'), pod('c', '10.0.0.3')])], {
      now: 2,
      previous: first,
    });
    expect(first.endpoints.map(({ pod: name, since }) => [name, since])).toEqual([
      ['a', 0],
      ['b', 1],
    ]);
    expect(later.endpoints.map(({ pod: name, since }) => [name, since])).toEqual([
      ['a', 0],
      ['b', 2],
      ['c', 2],
    ]);
  });

  it('takes the port by its name, whatever its number in each slice', () => {
    const other = {
      ports: [
        { name: 'admin', port: 1, protocol: 'TCP', index: 0 },
        { name: 'http', port: 9090, protocol: 'TCP', index: 1 },
      ],
    };
    const pool = build([slice('a', [pod('a', '10.0.0.1')]), slice('b', [pod('b', '10.0.0.2')], other)]);
    expect(brief(pool)).toEqual(['a 10.0.0.1:8080 Ready', 'b 10.0.0.2:9090 Ready']);
  });

  it('an IPv4-mapped address is its IPv4 address', () => {
    const pool = build([
      slice('a', [bare('::ffff:10.0.0.1')], { addressType: 'IPv6' }),
      slice('b', [bare('10.0.0.1')]),
    ]);
    expect(brief(pool)).toEqual(['10.0.0.1:8080 10.0.0.1:8080 Ready']);
  });

  it.each(['127.0.0.1', '127.9.9.9', '0.0.0.0', '169.254.1.1', '::1', '::', 'fe80::1', 'febf::1', '::ffff:127.0.0.1'])(
    'refuses %s in a cluster, serves it elsewhere',
    (address) => {
      const slices = [slice('a', [bare(address), pod('b', '10.0.0.2')])];
      const refused = buildPool({ ...SPEC, refuseLocal: true }, slices, undefined, 0);
      expect(refused.problems.map(({ field }) => field)).toEqual(['endpoints[0].addresses[0]']);
      expect(brief(refused.pool)).toEqual(['b 10.0.0.2:8080 Ready']);
      expect(build(slices).endpoints).toHaveLength(2);
    },
  );

  it('does not mistake neighbours for local addresses', () => {
    const slices = [
      slice(
        'a',
        ['128.0.0.1', '169.253.1.1', 'fec0::1', '::2', '1.0.0.0'].map((address) => bare(address)),
      ),
    ];
    expect(build(slices, { spec: { refuseLocal: true } }).endpoints).toHaveLength(5);
  });

  it.each([
    [slice('s', [bare('db.example')], { addressType: 'FQDN' }), 'addressType'],
    [slice('s', [bare('10.0.0')]), 'endpoints[0].addresses[0]'],
    [
      slice('s', [bare('10.0.0.1')], { ports: [{ name: 'http', port: undefined, protocol: 'TCP', index: 0 }] }),
      'ports[0].port',
    ],
    [slice('s', [bare('10.0.0.1')], { ports: [{ name: 'web', port: 80, protocol: 'TCP', index: 0 }] }), 'ports'],
  ])('reports what cannot be dialled (%#)', (bad, field) => {
    const { pool, problems } = buildPool(SPEC, [bad], undefined, 0);
    expect(pool.endpoints).toEqual([]);
    expect(problems.map((problem) => [problem.object.name, problem.field])).toEqual([['s', field]]);
  });
});

describe('marks on pods', () => {
  const NOW = 1_000_000;

  function mark(change: Partial<Pod>): Pod {
    return { namespace: 'ns', name: 'a', uid: 'uid-a', drainedSince: undefined, deletedSince: undefined, ...change };
  }

  function marked(change: Partial<Pod>, conditions: Conditions = {}, previous?: Pool): string {
    const slices = [slice('s', [pod('a', '10.0.0.1', conditions), pod('b', '10.0.0.2')])];
    const { pool, problems } = buildPool(SPEC, slices, previous, NOW, new Map([['ns/a', mark(change)]]));
    expect(problems).toEqual([]);
    expect(pool.endpoints[1]).toMatchObject({ pod: 'b', state: 'Ready' });
    return `${pool.endpoints[0]?.state} ${pool.endpoints[0]?.since}`;
  }

  it.each<[string, Partial<Pod>, Conditions, string]>([
    ['none', {}, {}, 'Ready 0'],
    ['drained by hand, without a time', { drainedSince: 0 }, {}, `Draining ${NOW}`],
    ['drained by hand since a time', { drainedSince: 5000 }, {}, 'Draining 5000'],
    ['a time in the future is now', { drainedSince: NOW + 5000 }, {}, `Draining ${NOW}`],
    ['one that is not ready stays so', { drainedSince: 5000 }, { ready: false }, `NotReady ${NOW}`],
    ['terminating: since its deletion', { deletedSince: 7000 }, { terminating: true }, 'Draining 7000'],
    ['by hand, then terminating', { drainedSince: 5000, deletedSince: 7000 }, { terminating: true }, 'Draining 5000'],
    [
      'without a time, then terminating',
      { drainedSince: 0, deletedSince: 7000 },
      { terminating: true },
      'Draining 7000',
    ],
    ['deleted, but the slice does not say so yet', { deletedSince: 7000 }, {}, 'Ready 0'],
    ['of a namesake that is gone', { uid: 'other', drainedSince: 5000 }, {}, 'Ready 0'],
  ])('%s', (_title, change, conditions, expected) => {
    expect(marked(change, conditions)).toBe(expected);
  });

  it('without a time counts from when it was first seen', () => {
    const slices = [slice('s', [pod('a', '10.0.0.1')])];
    const { pool } = buildPool(SPEC, slices, undefined, 300, new Map([['ns/a', mark({ drainedSince: 0 })]]));
    expect(marked({ drainedSince: 0 }, {}, pool)).toBe('Draining 300');
  });

  it('H3 H20 give the id of plain cookies, whatever the state; not that of a namesake that is gone', () => {
    const slices = [slice('s', [pod('a', '10.0.0.1', { ready: false }), pod('b', '10.0.0.2')])];
    const valueOf = (change: Partial<Pod>) =>
      buildPool(SPEC, slices, undefined, NOW, new Map([['ns/a', mark(change)]])).pool.endpoints[0]?.cookieValue;
    expect(valueOf({ cookieValue: 'app-1' })).toBe('app-1');
    expect(valueOf({})).toBeUndefined();
    expect(valueOf({ cookieValue: 'app-1', uid: 'other' })).toBeUndefined();
  });

  it('H21 equal ids of plain cookies are a problem', () => {
    const slices = [slice('s', [pod('a', '10.0.0.1'), pod('b', '10.0.0.2')])];
    const { problems } = buildPool(SPEC, slices, undefined, NOW, new Map([['ns/a', mark({ cookieValue: 'b' })]]));
    expect(problems).toMatchObject([{ severity: 'warning', message: expect.stringContaining('a and b') as string }]);
  });

  it('counts for every family of the pod', () => {
    const slices = [
      slice('s4', [pod('a', '10.0.0.1', { ready: false })]),
      slice('s6', [pod('a', 'fd00::1')], { addressType: 'IPv6' }),
    ];
    const { pool } = buildPool(SPEC, slices, undefined, NOW, new Map([['ns/a', mark({ drainedSince: 5000 })]]));
    expect(pool.endpoints).toMatchObject([{ address: '10.0.0.1', state: 'Draining', since: 5000 }]);
  });
});
