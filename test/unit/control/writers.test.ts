/** Status and Events as they are written: by the leader, once, with every answer that an API server may give. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { ActiveProblem } from '../../../src/admin/types.ts';
import { conditionsOf } from '../../../src/compile/passes/status.ts';
import { Events } from '../../../src/control/events.ts';
import { StatusWriter, type WantedStatus } from '../../../src/control/status.ts';
import type { PolicyStatus } from '../../../src/model/status.ts';
import type { KubeClient } from '../../../src/source/kubernetes/client.ts';
import { ApiServer, logged, TestClock, until } from './api-server.ts';

const INGRESS = '/apis/networking.k8s.io/v1/namespaces/ns/ingresses/web';
const POLICY = '/apis/holdfast.dev/v1alpha1/namespaces/ns/stickypolicies/p';
const NAME = 'holdfast.dev/ingress-controller';

let server: ApiServer;
let client: KubeClient;
let clock: TestClock;
let leading: boolean;
let lines: string[];
let status: StatusWriter;
let events: Events;

beforeEach(async () => {
  ({ server, client } = await ApiServer.start());
  clock = new TestClock();
  leading = true;
  const log = logged();
  lines = log.lines;
  const common = { api: client, controllerName: NAME, leading: () => leading, clock, logger: log.logger };
  status = new StatusWriter({ ...common, namespaces: [] });
  events = new Events({ ...common, instance: 'a_1' });
  server.put(INGRESS, { kind: 'Ingress' });
  server.put(POLICY, { kind: 'StickyPolicy' });
});

afterEach(async () => {
  await status.stop();
  await events.stop();
  await server.close();
});

/** `ingresses`: UIDs by key. */
function wanted(generation = 1, ingresses: Readonly<Record<string, string>> = { 'ns/web': 'u1' }): WantedStatus {
  const target = { group: 'networking.k8s.io', kind: 'Ingress', name: 'web' };
  const policy: PolicyStatus = { uid: 'u', generation, targets: [{ target, conditions: conditionsOf(undefined) }] };
  return {
    compiled: { ingresses: new Map(Object.entries(ingresses)), policies: new Map([['ns/p', policy]]) },
    refused: new Map(),
    addresses: [{ ip: '203.0.113.7' }],
  };
}

function statusOf(path: string): unknown {
  return server.objects.get(path)?.['status'];
}

/** All requests sent so far have been answered, and the answers read: some that came behind them have been. */
async function answersRead(): Promise<void> {
  for (let i = 0; i < 3; i++) await client.request('GET', '/version');
}

/** Paths that the writers have asked for. */
function asked(): string[] {
  return server.seen.map(({ path }) => path).filter((path) => path !== '/version');
}

async function settled(writes: number): Promise<void> {
  await until(() => expect(server.writes()).toHaveLength(writes));
  await until(() => expect(statusOf(POLICY)).toBeDefined());
}

describe('status', () => {
  test('is applied with our field manager, and not again while it stays the same', async () => {
    status.update(wanted());
    await settled(2);
    for (const { method, path, query, contentType, body } of server.writes()) {
      expect([method, path.endsWith('/status'), contentType]).toEqual(['PATCH', true, 'application/apply-patch+yaml']);
      expect([query.get('fieldManager'), query.get('force')]).toEqual([NAME, 'true']);
      expect(body?.metadata?.['resourceVersion']).toMatch(/^\d+$/);
    }
    await answersRead();
    const before = asked();
    status.update(wanted());
    status.update(wanted());
    await answersRead();
    expect(asked()).toEqual(before);
  });

  test('a new leader reads everything and writes only what is missing', async () => {
    status.update(wanted());
    await settled(2);
    server.put(INGRESS, { kind: 'Ingress' });
    status.lead();
    await until(() => expect(server.writes()).toHaveLength(3));
    expect(server.writes()[2]?.path).toBe(`${INGRESS}/status`);
  });

  test('who does not lead writes and asks nothing', async () => {
    leading = false;
    status.update(wanted());
    status.lead();
    await answersRead();
    expect(asked()).toEqual([]);
  });

  test('a conflict is tried again at once, on what is there then', async () => {
    const theirs = { ancestorRef: { name: 'x' }, controllerName: 'other.example/c' };
    let once = true;
    server.intercept = ({ method, path }) => {
      if (method === 'PATCH' && path.startsWith(POLICY) && once) {
        once = false;
        server.put(POLICY, { kind: 'StickyPolicy', status: { ancestors: [theirs] } });
      }
      return undefined;
    };
    status.update(wanted());
    await settled(3);
    expect((statusOf(POLICY) as { ancestors: unknown[] }).ancestors).toMatchObject([theirs, { controllerName: NAME }]);
  });

  test('a refusal is told once and tried again later, with what is wanted then', async () => {
    server.intercept = ({ method, path }) => (method === 'PATCH' && path.startsWith(POLICY) ? 403 : undefined);
    status.update(wanted());
    await until(() => expect(lines.join('')).toContain('the API server answered 403'));
    const before = server.writes().length;
    status.update(wanted(2));
    expect(server.writes()).toHaveLength(before);
    server.intercept = () => undefined;
    clock.advance(1000);
    await until(() =>
      expect(statusOf(POLICY)).toMatchObject({ ancestors: [{ conditions: [{ observedGeneration: 2 }, {}, {}] }] }),
    );
    expect(lines.filter((line) => line.includes('answered 403'))).toHaveLength(1);
  });

  test('what somebody has wiped out is put back in time', async () => {
    status.update(wanted());
    await settled(2);
    server.put(POLICY, { kind: 'StickyPolicy', status: {} });
    await until(() => {
      clock.advance(10 * 60_000);
      expect(statusOf(POLICY)).toMatchObject({ ancestors: [{}] });
    });
  });

  test('without the CRD of policies the Ingresses have their addresses', async () => {
    server.intercept = ({ path }) => (path.endsWith('/stickypolicies') ? 404 : undefined);
    status.update({ ...wanted(), compiled: { ...wanted().compiled, policies: new Map() } });
    await until(() => expect(statusOf(INGRESS)).toBeDefined());
    expect(lines).toEqual([]);
  });

  test('only what has changed is looked at', async () => {
    const first = wanted();
    status.update(first);
    await settled(2);
    const before = server.seen.length;
    const other = INGRESS.replace(/web$/, 'other');
    server.put(other, { kind: 'Ingress' });
    const ingresses = new Map([...first.compiled.ingresses, ['ns/other', 'u2']]);
    status.update({ ...first, compiled: { ...first.compiled, ingresses } });
    await until(() => expect(statusOf(other)).toBeDefined());
    expect(new Set(server.seen.slice(before).map(({ path }) => path))).toEqual(new Set([other, `${other}/status`]));
  });

  test('an object that was deleted and made again under its name has its status at once', async () => {
    status.update(wanted());
    await settled(2);
    server.put(INGRESS, { kind: 'Ingress' });
    status.update(wanted(1, { 'ns/web': 'u2' }));
    await until(() => expect(statusOf(INGRESS)).toBeDefined());
  });

  test('what is wanted again after all, while something else was written, stands there in the end', async () => {
    status.update(wanted());
    await settled(2);
    await answersRead();
    let once = true;
    server.intercept = ({ method, path }) => {
      if (method === 'PATCH' && path.startsWith(INGRESS) && once) {
        once = false;
        status.update(wanted());
      }
      return undefined;
    };
    status.update({ ...wanted(), addresses: [{ ip: '203.0.113.8' }] });
    await until(() => expect(server.writes()).toHaveLength(4));
    await until(() => expect(statusOf(INGRESS)).toMatchObject({ loadBalancer: { ingress: [{ ip: '203.0.113.7' }] } }));
  });

  test('other addresses are written to every Ingress', async () => {
    status.update(wanted());
    await settled(2);
    status.update({ ...wanted(), addresses: [{ ip: '203.0.113.8' }] });
    await until(() => expect(statusOf(INGRESS)).toMatchObject({ loadBalancer: { ingress: [{ ip: '203.0.113.8' }] } }));
  });

  test('a bug in one comparison is logged, and the next change is written', async () => {
    const broken = { ...wanted(), addresses: null } as unknown as WantedStatus;
    Object.defineProperty(broken, 'compiled', {
      get: () => {
        throw new Error('broken');
      },
    });
    status.update(wanted());
    await settled(2);
    status.update(broken);
    expect(lines.join('')).toContain('broken');
    status.update(wanted(2));
    await settled(3);
  });

  test('a refused policy says so with the reason, at its targets', async () => {
    status.update({ ...wanted(), refused: new Map([['ns/p', 'spec.rules: write one']]) });
    await settled(2);
    expect(statusOf(POLICY)).toMatchObject({
      ancestors: [{ conditions: [{ status: 'False', reason: 'Invalid', message: 'spec.rules: write one' }, {}, {}] }],
    });
  });

  test('an object that has gone is no failure', async () => {
    server.objects.delete(POLICY);
    status.update(wanted());
    await until(() => expect(statusOf(INGRESS)).toBeDefined());
    expect(lines).toEqual([]);
  });
});

describe('events', () => {
  const PATH = '/apis/events.k8s.io/v1/namespaces/ns/events';
  const problem = (message: string, kind = 'Ingress', name = 'web'): ActiveProblem => ({
    severity: 'error',
    object: { kind, namespace: 'ns', name },
    field: 'spec.rules[0]',
    message,
    since: 0,
  });
  const ours = new Map([['ns/web', 'u1']]);
  const written = (): unknown[] => [...server.objects].filter(([path]) => path.startsWith(PATH)).map(([, raw]) => raw);

  test('one a Problem, with all that the API asks for', async () => {
    events.update([problem('bad'), problem('worse')], ours);
    await until(() => expect(written()).toHaveLength(2));
    events.update([problem('bad'), problem('worse')], ours);
    expect(server.writes()).toHaveLength(2);
    expect(written()[0]).toMatchObject({
      eventTime: '2026-01-01T00:00:00.000000Z',
      reportingController: NAME,
      reportingInstance: 'a_1',
      type: 'Warning',
      note: 'spec.rules[0]: bad',
      regarding: {
        apiVersion: 'networking.k8s.io/v1',
        kind: 'Ingress',
        namespace: 'ns',
        name: 'web',
        uid: `uid of ${INGRESS}`,
      },
    });
  });

  test('the next leader finds what was told', async () => {
    events.update([problem('bad')], ours);
    await until(() => expect(written()).toHaveLength(1));
    const { logger } = logged();
    const next = new Events({ api: client, controllerName: NAME, instance: 'b_2', leading: () => true, clock, logger });
    next.update([problem('bad')], ours);
    await until(() => expect(server.writes()).toHaveLength(2));
    await next.stop();
    expect(written()).toHaveLength(1);
  });

  test('nothing about Ingresses of others, cluster-wide objects and objects without a name', async () => {
    events.update(
      [
        problem('a', 'Ingress', 'theirs'),
        problem('b', 'IngressClass'),
        problem('c', 'Ingress', ''),
        problem('d', 'StickyPolicy', 'p'),
      ],
      ours,
    );
    await until(() => expect(written()).toHaveLength(1));
    expect(written()).toMatchObject([{ note: 'spec.rules[0]: d' }]);
  });

  test('a long message is cut to what the API takes', async () => {
    events.update([problem('x'.repeat(5000))], ours);
    await until(() => expect(written()).toHaveLength(1));
    // The API server counts bytes.
    expect(Buffer.byteLength((written()[0] as { note: string }).note)).toBe(1024);
  });
});
