/** Events to snapshots, and when a change is told. */
import { beforeEach, describe, expect, it } from 'vitest';
import type { Problem } from '../../../src/model/problem.ts';
import type {
  EndpointSlice,
  Ingress,
  Meta,
  Pod,
  RefusedPolicy,
  Resource,
  Service,
  StickyPolicy,
} from '../../../src/model/resources.ts';
import { Store, type Clock, type StoreChange } from '../../../src/store/store.ts';

/** Time that only moves when told to. */
class FakeClock implements Clock {
  #now = 0;
  #timers = new Map<number, { at: number; fn: () => void }>();
  #next = 1;

  now(): number {
    return this.#now;
  }

  setTimeout(fn: () => void, ms: number): number {
    this.#timers.set(this.#next, { at: this.#now + ms, fn });
    return this.#next++;
  }

  clearTimeout(handle: unknown): void {
    this.#timers.delete(Number(handle));
  }

  get timers(): number {
    return this.#timers.size;
  }

  advance(ms: number): void {
    const end = this.#now + ms;
    for (;;) {
      const [id, timer] =
        [...this.#timers].filter(([, { at }]) => at <= end).sort(([, a], [, b]) => a.at - b.at)[0] ?? [];
      if (id === undefined || timer === undefined) break;
      this.#timers.delete(id);
      this.#now = timer.at;
      timer.fn();
    }
    this.#now = end;
  }
}

function meta(name: string, generation = 1): Meta {
  return { namespace: 'ns', name, uid: '', generation, creationTimestamp: undefined, annotations: {}, labels: {} };
}

function service(name: string, generation = 1): Service {
  const shape = {
    type: 'ClusterIP',
    externalName: undefined,
    publishNotReadyAddresses: false,
    ports: [],
    clientIPTimeout: undefined,
    ipFamilies: [],
  } as const;
  return { kind: 'Service', meta: meta(name, generation), ...shape };
}

function ingress(name: string): Ingress {
  return {
    kind: 'Ingress',
    meta: meta(name),
    className: undefined,
    defaultBackend: undefined,
    hasDefaultBackend: false,
    hasRules: false,
    rules: [],
    tls: [],
  };
}

function slice(name: string, of: string, generation = 1): EndpointSlice {
  return {
    kind: 'EndpointSlice',
    meta: meta(name, generation),
    service: of,
    addressType: 'IPv4',
    ports: [],
    endpoints: [],
  };
}

function problem(message: string): Problem {
  return { severity: 'error', object: { kind: 'Service', namespace: 'ns', name: 'a' }, field: 'spec', message };
}

let clock: FakeClock;
let changes: StoreChange[];
let store: Store;

function apply(resource: Resource, problems: Problem[] = []): void {
  const { kind } = resource;
  store.sink({ type: 'apply', ref: { kind, namespace: 'ns', name: resource.meta.name }, resource, problems });
}

function remove(kind: string, name: string): void {
  store.sink({ type: 'delete', ref: { kind, namespace: 'ns', name } });
}

/** Tells all changes so far and forgets them. */
function settle(): void {
  clock.advance(100);
  changes.length = 0;
}

beforeEach(() => {
  clock = new FakeClock();
  changes = [];
  store = new Store({ onChange: (change) => changes.push(change), clock });
});

describe('before synced', () => {
  it('tells nothing, then everything at once', () => {
    apply(service('a'));
    apply(slice('s', 'a'));
    clock.advance(1000);
    expect(changes).toEqual([]);
    expect(store.synced).toBe(false);
    store.sink({ type: 'synced' });
    expect(store.synced).toBe(true);
    clock.advance(5);
    expect(changes).toHaveLength(1);
    expect(changes[0]?.routesChanged).toBe(true);
    expect([...(changes[0]?.services ?? [])]).toEqual(['ns/a']);
    expect([...(changes[0]?.snapshot.services.keys() ?? [])]).toEqual(['ns/a']);
  });

  it('tells even an empty world, once', () => {
    store.sink({ type: 'synced' });
    store.sink({ type: 'synced' });
    clock.advance(1000);
    expect(changes).toHaveLength(1);
  });
});

describe('hold-off', () => {
  beforeEach(() => {
    store.sink({ type: 'synced' });
    settle();
  });

  it('waits 1 ms after the last event', () => {
    apply(service('a'));
    clock.advance(0.5);
    apply(service('b'));
    clock.advance(0.5);
    expect(changes).toHaveLength(0);
    clock.advance(0.5);
    expect(changes).toHaveLength(1);
    expect(changes[0]?.snapshot.services.size).toBe(2);
    clock.advance(1000);
    expect(changes).toHaveLength(1);
  });

  it('never waits longer than 10 ms after the first event', () => {
    for (let i = 0; i < 24; i++) {
      apply(service(`s${i}`));
      clock.advance(0.5);
      expect(changes.length).toBe(i < 19 ? 0 : 1);
    }
    expect(changes[0]?.snapshot.services.size).toBe(20);
    clock.advance(10);
    expect(changes[1]?.snapshot.services.size).toBe(24);
  });

  it('says when the first event of a change came', () => {
    const start = clock.now();
    apply(service('a'));
    clock.advance(0.5);
    apply(service('b'));
    clock.advance(100);
    apply(service('c'));
    clock.advance(5);
    expect(changes.map(({ since }) => since - start)).toEqual([0, 100.5]);
  });

  it('holds one timer whatever the number of events', () => {
    for (let i = 0; i < 1000; i++) apply(service(`s${i}`));
    expect(clock.timers).toBe(1);
  });

  it('tells nothing after close', () => {
    apply(service('a'));
    store.close();
    apply(service('b'));
    clock.advance(1000);
    expect(changes).toHaveLength(0);
  });
});

describe('changes', () => {
  beforeEach(() => {
    apply(service('a'));
    apply(ingress('i'));
    apply(slice('s1', 'a'));
    apply(slice('s2', 'a'));
    store.sink({ type: 'synced' });
    settle();
  });

  it('slices alone change no routes', () => {
    apply(slice('s1', 'a', 2));
    clock.advance(5);
    expect(changes.map(({ routesChanged, services }) => [routesChanged, [...services]])).toEqual([[false, ['ns/a']]]);
    expect(changes[0]?.snapshot.slicesByService.get('ns/a')?.get('s1')?.meta.generation).toBe(2);
  });

  it('a slice that moves to another Service changes both', () => {
    apply(slice('s1', 'b'));
    clock.advance(5);
    expect([...(changes[0]?.services ?? [])].sort()).toEqual(['ns/a', 'ns/b']);
    const slices = changes[0]?.snapshot.slicesByService;
    expect([...(slices?.get('ns/a')?.keys() ?? [])]).toEqual(['s2']);
    expect([...(slices?.get('ns/b')?.keys() ?? [])]).toEqual(['s1']);
  });

  it('deleted slices leave, and with the last one their Service', () => {
    remove('EndpointSlice', 's1');
    remove('EndpointSlice', 's2');
    remove('EndpointSlice', 'never-there');
    clock.advance(5);
    expect(changes).toHaveLength(1);
    expect(changes[0]?.snapshot.slicesByService.size).toBe(0);
  });

  it('leaves told snapshots as they were, and shares what did not change', () => {
    const before = store.snapshot();
    apply(service('b'));
    apply(slice('s1', 'a', 2));
    const after = store.snapshot();
    expect([...before.services.keys()]).toEqual(['ns/a']);
    expect(before.slicesByService.get('ns/a')?.get('s1')?.meta.generation).toBe(1);
    expect([...after.services.keys()].sort()).toEqual(['ns/a', 'ns/b']);
    expect(after.ingresses).toBe(before.ingresses);
    expect(store.snapshot()).toBe(after);
  });

  it('an object that says the same again is no change', () => {
    apply(service('a'));
    apply(slice('s1', 'a'));
    remove('Ingress', 'never-there');
    clock.advance(1000);
    expect(changes).toHaveLength(0);
  });

  it('T66 an object deleted and back within the hold-off is told as one change with the object in it', () => {
    remove('EndpointSlice', 's1');
    apply(slice('s1', 'a'));
    clock.advance(5);
    expect(changes.map((change) => change.snapshot.slicesByService.get('ns/a')?.size)).toEqual([2]);
  });
});

describe('pods', () => {
  const mark = (name: string, drainedSince?: number): Pod => {
    return { namespace: 'ns', name, uid: 'u', drainedSince, deletedSince: undefined };
  };
  const tell = (pod: Pod): void => store.sink({ type: 'pod', pod, problems: [] });

  beforeEach(() => {
    const target = { kind: 'Pod', namespace: 'ns', name: 'a-0', uid: 'u' };
    const endpoint = {
      index: 0,
      address: '10.0.0.1',
      ready: true,
      serving: true,
      terminating: false,
      targetRef: target,
    };
    apply({ ...slice('s', 'a'), endpoints: [endpoint] });
    apply(slice('t', 'b'));
    store.sink({ type: 'synced' });
    settle();
  });

  it('that are marked rebuild the pools of their Services, and no others', () => {
    tell(mark('a-0', 5));
    tell(mark('b-0', 5));
    clock.advance(5);
    expect(changes).toHaveLength(1);
    expect(changes[0]?.routesChanged).toBe(false);
    expect([...(changes[0]?.services ?? [])]).toEqual(['ns/a']);
    expect([...(changes[0]?.snapshot.pods.keys() ?? [])]).toEqual(['ns/a-0', 'ns/b-0']);
  });

  it('whose annotation names them in cookies are marked, too', () => {
    tell({ ...mark('a-0'), cookieValue: 'app-1' });
    clock.advance(5);
    expect([...(changes[0]?.services ?? [])]).toEqual(['ns/a']);
    expect(store.snapshot().pods.get('ns/a-0')?.cookieValue).toBe('app-1');
  });

  it('that are not marked are of no account', () => {
    tell(mark('a-0'));
    remove('Pod', 'a-0');
    clock.advance(100);
    expect(changes).toEqual([]);
    expect(store.snapshot().pods.size).toBe(0);
  });

  it('whose version slices have waited for rebuild their pools; later and earlier ones are only remembered', () => {
    const versioned = (name: string, version: string, uid = 'u'): Pod => {
      return { ...mark(name), uid, version: { version, created: 1 } };
    };
    const named = (service: string, name: string): EndpointSlice => {
      const targetRef = { kind: 'Pod', namespace: 'ns', name, uid: 'u' };
      const conditions = { ready: true, serving: true, terminating: false };
      return { ...slice(service, service), endpoints: [{ index: 0, address: '10.0.0.9', ...conditions, targetRef }] };
    };
    tell(versioned('first', 'v1'));
    clock.advance(100);
    expect(changes).toEqual([]);
    expect(store.snapshot().podVersions.get('ns/first')).toEqual({ version: 'v1', created: 1, uid: 'u' });

    apply(named('c', 'late'));
    settle();
    // A namesake that is gone is not the one.
    tell(versioned('late', 'v1', 'other'));
    settle();
    apply(named('d', 'late'));
    settle();
    tell(versioned('late', 'v2'));
    clock.advance(5);
    expect([...(changes[0]?.services ?? [])].sort()).toEqual(['ns/c', 'ns/d']);
    settle();
    tell(versioned('late', 'v2'));
    clock.advance(100);
    expect(changes).toEqual([]);
    remove('Pod', 'late');
    expect([...store.snapshot().podVersions.keys()]).toEqual(['ns/first']);
  });

  it('whose version comes only after everything was told rebuild their pools', () => {
    tell({ ...mark('a-0'), version: { version: 'v1', created: 1 } });
    clock.advance(5);
    expect([...(changes[0]?.services ?? [])]).toEqual(['ns/a']);
  });

  it.each([
    ['loses its mark', () => tell(mark('a-0'))],
    ['is gone', () => remove('Pod', 'a-0')],
  ])('a pod that %s counts again as its slice says', (_title, act) => {
    tell(mark('a-0', 5));
    settle();
    tell(mark('a-0', 5));
    clock.advance(100);
    expect(changes).toEqual([]);
    act();
    clock.advance(5);
    expect([...(changes[0]?.services ?? [])]).toEqual(['ns/a']);
    expect(changes[0]?.snapshot.pods.size).toBe(0);
  });

  it('with a mark that cannot be read are Problems', () => {
    const found = { ...problem('x'), object: { kind: 'Pod', namespace: 'ns', name: 'a-0' } };
    store.sink({ type: 'pod', pod: mark('a-0'), problems: [found] });
    expect(store.problems()).toEqual([found]);
    remove('Pod', 'a-0');
    expect(store.problems()).toEqual([]);
  });
});

describe('problems', () => {
  beforeEach(() => {
    apply(service('a'), [problem('small')]);
    store.sink({ type: 'synced' });
    settle();
  });

  it('a refused object keeps the last accepted one in force, with its Problems', () => {
    store.sink({
      type: 'apply',
      ref: { kind: 'Service', namespace: 'ns', name: 'a' },
      resource: undefined,
      problems: [problem('bad')],
    });
    clock.advance(5);
    expect(changes.map(({ routesChanged }) => routesChanged)).toEqual([false]);
    expect(changes[0]?.snapshot.services.get('ns/a')?.meta.generation).toBe(1);
    expect(store.problems().map(({ message }) => message)).toEqual(['bad']);
  });

  it('a refused policy counts where none was accepted, and never in place of one that was', () => {
    const policy = (generation: number): StickyPolicy => ({
      kind: 'StickyPolicy',
      meta: meta('p', generation),
      spec: {},
    });
    const refused = (generation: number): RefusedPolicy => ({
      kind: 'StickyPolicy',
      meta: meta('p', generation),
      refused: true,
      targetRefs: [],
    });
    const generations = (): unknown[] => {
      const { policies, refusedPolicies } = store.snapshot();
      return [policies, refusedPolicies].map((map) => map.get('ns/p')?.meta.generation);
    };
    apply(refused(1));
    expect(generations()).toEqual([undefined, 1]);
    apply(refused(2));
    expect(generations()).toEqual([undefined, 2]);
    apply(policy(3));
    expect(generations()).toEqual([3, undefined]);
    settle();
    apply(refused(4));
    clock.advance(1000);
    expect(generations()).toEqual([3, undefined]);
    expect(changes).toHaveLength(0);
    remove('StickyPolicy', 'p');
    apply(refused(5));
    expect(generations()).toEqual([undefined, 5]);
    remove('StickyPolicy', 'p');
    expect(generations()).toEqual([undefined, undefined]);
  });

  it('an accepted object replaces its Problems, a deleted one takes them along', () => {
    apply(service('a', 2));
    expect(store.problems()).toEqual([]);
    apply(service('a', 3), [problem('again')]);
    remove('Service', 'a');
    expect(store.problems()).toEqual([]);
    expect(store.snapshot().services.size).toBe(0);
  });

  it('a source’s Problems are replaced by its key', () => {
    store.sink({ type: 'sourceProblems', key: 'a.yaml', problems: [problem('one'), problem('two')] });
    store.sink({ type: 'sourceProblems', key: 'b.yaml', problems: [problem('three')] });
    store.sink({ type: 'sourceProblems', key: 'a.yaml', problems: [problem('four')] });
    expect(store.problems().map(({ message }) => message)).toEqual(['small', 'four', 'three']);
    settle();
    store.sink({ type: 'sourceProblems', key: 'a.yaml', problems: [problem('four')] });
    clock.advance(1000);
    expect(changes).toHaveLength(0);
    store.sink({ type: 'sourceProblems', key: 'a.yaml', problems: [] });
    expect(store.problems().map(({ message }) => message)).toEqual(['small', 'three']);
  });
});
