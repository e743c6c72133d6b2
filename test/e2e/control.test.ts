/** Two replicas on a real control plane: one leads, keys, status, Events and drains are right, and nothing is written twice. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, request, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { apply, established, eventually, get, kubectl, pause, ROOT, run } from './support/kube.ts';

const SYSTEM = 'control-system';
const SPACE = 'control-shop';
const HOST = 'control.test';
const CONTROLLER = 'holdfast.dev/control-test';
const PODS = ['10.244.200.1', '10.244.200.2', '10.244.200.3'];
const REPLICAS = ['10.244.250.1', '10.244.250.2'];
const APP_PORT = 9100;

const OBJECTS = `
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: {name: control}
spec: {controller: ${CONTROLLER}}
---
apiVersion: v1
kind: Secret
metadata: {name: keys, namespace: ${SYSTEM}}
---
apiVersion: v1
kind: Service
metadata: {name: replicas, namespace: ${SYSTEM}}
spec: {clusterIP: None, ports: [{name: admin, port: 9090}]}
---
${replicasSlice()}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: ${SPACE}}
spec: {ports: [{name: http, port: 80}]}
---
apiVersion: v1
kind: Pod
metadata: {name: web-0, namespace: ${SPACE}}
spec: {containers: [{name: web, image: web}]}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web, namespace: ${SPACE}}
spec:
  ingressClassName: control
  rules:
  - host: ${HOST}
    http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: lonely, namespace: ${SPACE}}
spec:
  ingressClassName: control
  rules:
  - host: lonely.test
    http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: nowhere, port: {number: 80}}}}]}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: foreign, namespace: ${SPACE}}
spec:
  ingressClassName: somebody-else
  rules:
  - host: foreign.test
    http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: nowhere, port: {number: 80}}}}]}
---
${policy('first', '{group: networking.k8s.io, kind: Ingress, name: web}')}
`;

/** `ending` = addresses of pods that are being deleted. */
function replicasSlice(...ending: readonly string[]): string {
  const endpoints = REPLICAS.map((ip) => `{addresses: [${ip}], conditions: {terminating: ${ending.includes(ip)}}}`);
  return `apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: replicas-1, namespace: ${SYSTEM}, labels: {kubernetes.io/service-name: replicas}}
addressType: IPv4
ports: [{name: admin, port: 9090}]
endpoints: [${endpoints.join(', ')}]`;
}

/** `uid` = that of the real pod among them. */
function slice(uid: string): string {
  const endpoints = PODS.map(
    (ip, i) =>
      `- {addresses: [${ip}], targetRef: {kind: Pod, namespace: ${SPACE}, name: web-${i}, uid: ${i === 0 ? uid : `uid-${i}`}}}`,
  );
  return `apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-1, namespace: ${SPACE}, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
ports: [{name: http, port: ${APP_PORT}}]
endpoints:
${endpoints.join('\n')}
`;
}

function policy(name: string, target: string): string {
  return `apiVersion: holdfast.dev/v1alpha1
kind: StickyPolicy
metadata: {name: ${name}, namespace: ${SPACE}}
spec: {targetRefs: [${target}], rules: [{name: c, cookie: {name: HF${name}}}], session: {idleTimeout: 5s}}
`;
}

interface Ancestor {
  readonly ancestorRef: Record<string, string>;
  readonly controllerName: string;
  readonly conditions: readonly {
    type: string;
    status: string;
    reason: string;
    observedGeneration: number;
    message: string;
  }[];
}

interface Policy {
  readonly metadata: { readonly resourceVersion: string; readonly generation: number };
  readonly status?: { readonly ancestors?: readonly Ancestor[] };
}

let dir = '';
let held: ServerResponse[] = [];
const servers: Server[] = [];
const replicas: Replica[] = [];

class Replica {
  readonly address: string;
  readonly child: ChildProcess;
  log = '';

  constructor(address: string, name: string, ...further: readonly string[]) {
    this.address = address;
    const flags = [
      ['--kubeconfig', process.env['KUBECONFIG'] ?? ''],
      ['--bind-address', address],
      ['--admin-address', `${address}:9090`],
      ['--workers', '1'],
      ['--state-dir', dir],
      ['--controller-name', CONTROLLER],
      ['--ingress-class', 'control'],
      ['--session-keys-secret', `${SYSTEM}/keys`],
      ['--leader-lease', `${SYSTEM}/leader`],
      ['--replicas-service', `${SYSTEM}/replicas`],
      ['--publish-address', '203.0.113.7,lb.example'],
      ['--shutdown-delay', '0s'],
      ['--shutdown-grace', '1s'],
    ].flat();
    const env = { ...process.env, POD_NAME: name, POD_NAMESPACE: SYSTEM };
    this.child = spawn(process.execPath, [join(ROOT, 'src/main.ts'), 'run', ...flags, ...further], {
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    for (const stream of [this.child.stdout, this.child.stderr])
      stream?.setEncoding('utf8').on('data', (text: string) => (this.log += text));
  }

  async admin(path: string): Promise<{ status: number; body: string }> {
    const answer = await fetch(`http://${this.address}:9090${path}`);
    return { status: answer.status, body: await answer.text() };
  }

  async ready(): Promise<void> {
    await eventually(async () => expect(await this.admin('/readyz'), this.log).toEqual({ status: 200, body: 'ok\n' }));
  }

  async leads(): Promise<boolean> {
    return (await this.admin('/metrics')).body.includes('\nholdfast_leader 1\n');
  }

  async stop(): Promise<void> {
    const exited = once(this.child, 'exit');
    this.child.kill('SIGTERM');
    await exited;
  }
}

/** A request to one replica; resolves with its answer's head. */
async function send(replica: Replica, path: string, cookie = ''): Promise<IncomingMessage> {
  const headers = { host: HOST, ...(cookie === '' ? {} : { cookie }) };
  const sent = request({ host: replica.address, port: 8080, path, headers, agent: false });
  sent.end();
  const [response] = (await once(sent, 'response')) as [IncomingMessage];
  return response;
}

async function visit(replica: Replica, cookie = ''): Promise<{ pod: string; cookie: string }> {
  const response = await send(replica, '/', cookie);
  let pod = '';
  for await (const chunk of response) pod += String(chunk);
  expect(response.statusCode, pod).toBe(200);
  return { pod, cookie: response.headers['set-cookie']?.[0]?.split(';')[0] ?? cookie };
}

function holdfast(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  return run(process.execPath, [join(ROOT, 'src/main.ts'), ...args, '--kubeconfig', process.env['KUBECONFIG'] ?? '']);
}

async function keysText(): Promise<string> {
  const secret = await get<{ data?: Record<string, string> }>('secret', 'keys', '-n', SYSTEM);
  return Buffer.from(secret.data?.['keys.json'] ?? '', 'base64').toString();
}

function conditions(of: Policy, controller = CONTROLLER): string[] {
  const ours = of.status?.ancestors?.find(({ controllerName }) => controllerName === controller);
  return (ours?.conditions ?? []).map(({ type, status, reason }) => `${type}=${status} ${reason}`);
}

const getPolicy = (name: string): Promise<Policy> => get<Policy>('stickypolicy', name, '-n', SPACE);
const NAME = 'stickypolicies.holdfast.dev';

interface Crd {
  readonly spec: {
    readonly versions: readonly [
      { readonly schema: { readonly openAPIV3Schema: { readonly properties: { readonly spec: unknown } } } },
    ];
  };
}

const TRUE = ['Accepted=True Accepted', 'ResolvedRefs=True ResolvedRefs', 'Programmed=True Programmed'];

function replica(i: number): Replica {
  const found = replicas[i];
  if (found === undefined) throw new Error(`there is no replica ${i}`);
  return found;
}

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'holdfast-e2e-'));
  for (const address of PODS) {
    const server = createServer((incoming, response) => {
      if (incoming.url === '/hold') {
        response.write('begun');
        held.push(response);
      } else response.end(address);
    });
    server.listen(APP_PORT, address);
    await once(server, 'listening');
    servers.push(server);
  }
  await apply(readFileSync(join(ROOT, 'manifests/crds/holdfast.dev_stickypolicies.yaml'), 'utf8'));
  await established('stickypolicies.holdfast.dev');
  for (const name of [SYSTEM, SPACE]) await apply(`{apiVersion: v1, kind: Namespace, metadata: {name: ${name}}}`);
  await apply(OBJECTS);
  await apply(slice((await get<{ metadata: { uid: string } }>('pod', 'web-0', '-n', SPACE)).metadata.uid));
  replicas.push(...REPLICAS.map((address, i) => new Replica(address, `control-${i}`)));
  await Promise.all(replicas.map((one) => one.ready()));
}, 90_000);

afterAll(async () => {
  for (const one of replicas) one.child.kill('SIGKILL');
  for (const server of servers) {
    server.closeAllConnections();
    server.close();
  }
  rmSync(dir, { recursive: true, force: true });
});

test('one of two leads, the empty Secret is filled, and both make the same tokens', async () => {
  expect((await Promise.all(replicas.map((one) => one.leads()))).filter(Boolean)).toHaveLength(1);
  const lease = await get<{ spec: { holderIdentity: string; leaseDurationSeconds: number } }>(
    'lease',
    'leader',
    '-n',
    SYSTEM,
  );
  expect(lease.spec).toMatchObject({
    holderIdentity: expect.stringMatching(/^control-\d_/) as string,
    leaseDurationSeconds: 15,
  });
  expect(JSON.parse(await keysText())).toHaveLength(1);
  const first = await visit(replica(0));
  expect((await visit(replica(1), first.cookie)).pod).toBe(first.pod);
});

describe('status', () => {
  test('addresses of our Ingresses, not of others', async () => {
    await eventually(async () => {
      const ingress = await get<{ status: unknown }>('ingress', 'web', '-n', SPACE);
      expect(ingress.status).toEqual({
        loadBalancer: { ingress: [{ ip: '203.0.113.7' }, { hostname: 'lb.example' }] },
      });
    });
    const foreign = await get<{ status: unknown }>('ingress', 'foreign', '-n', SPACE);
    expect(foreign.status).toEqual({ loadBalancer: {} });
  });

  test('a policy says that it is accepted, and kubectl shows it', async () => {
    await eventually(async () => expect(conditions(await getPolicy('first'))).toEqual(TRUE));
    const { status } = await getPolicy('first');
    expect(status?.ancestors?.[0]?.ancestorRef).toEqual({
      group: 'networking.k8s.io',
      kind: 'Ingress',
      name: 'web',
      namespace: SPACE,
    });
    expect(await kubectl(['get', 'stp', 'first', '-n', SPACE])).toMatch(/first .*True +True/);
  });

  test('a conflict and a missing target are told, and change when they are mended', async () => {
    await apply(policy('second', '{group: networking.k8s.io, kind: Ingress, name: web}'));
    await eventually(async () =>
      expect(conditions(await getPolicy('second'))).toEqual([
        'Accepted=False Conflicted',
        'ResolvedRefs=True ResolvedRefs',
        'Programmed=False Conflicted',
      ]),
    );
    await apply(policy('second', '{group: "", kind: Service, name: gone}'));
    await eventually(async () => {
      const found = await getPolicy('second');
      expect(conditions(found)[0]).toBe('Accepted=False TargetNotFound');
      expect(found.status?.ancestors?.[0]?.conditions[0]?.observedGeneration).toBe(found.metadata.generation);
    });
    await apply(policy('second', '{group: "", kind: Service, name: web}'));
    await eventually(async () => expect(conditions(await getPolicy('second'))).toEqual(TRUE));
  });

  test('what an older schema lets through is Invalid with the reason, in its generation, and has one Event', async () => {
    const text = (regex: string): string => `apiVersion: holdfast.dev/v1alpha1
kind: StickyPolicy
metadata: {name: refused, namespace: ${SPACE}}
spec:
  targetRefs: [{group: networking.k8s.io, kind: Ingress, name: lonely}]
  rules: [{name: c, when: {pathRegex: '${regex}'}, cookie: {name: HFrefused}}]
`;
    const why = async (): Promise<{ all: string[]; message: string; current: boolean }> => {
      const found = await getPolicy('refused');
      const first = found.status?.ancestors?.[0]?.conditions[0];
      const current = first?.observedGeneration === found.metadata.generation;
      return { all: conditions(found), message: first?.message ?? '', current };
    };
    const invalid = ['Accepted=False Invalid', 'ResolvedRefs=True ResolvedRefs', 'Programmed=False Invalid'];
    const message = expect.stringMatching(/^spec\.rules\[0\]\.when\.pathRegex: /) as string;
    const path = '/spec/versions/0/schema/openAPIV3Schema/properties/spec';
    const schema = async (value: unknown): Promise<string> =>
      kubectl(['patch', 'crd', NAME, '--type=json', '-p', JSON.stringify([{ op: 'replace', path, value }])]);
    const ours = await get<Crd>('crd', NAME);
    await schema({ type: 'object', 'x-kubernetes-preserve-unknown-fields': true });
    await eventually(() => apply(text('a(b')));
    await eventually(async () => expect(await why()).toEqual({ all: invalid, message, current: true }));
    await apply(text('/a'));
    await eventually(async () => expect(await why()).toMatchObject({ all: TRUE, current: true }));
    // Now an accepted generation is in force; the status is about the one that was written.
    await apply(text('a(b'));
    await eventually(async () => expect(await why()).toEqual({ all: invalid, message, current: true }));
    const field = 'involvedObject.kind=StickyPolicy,involvedObject.name=refused';
    const events = async (): Promise<string[]> => {
      const notes = 'jsonpath={range .items[*]}{.message}{"\\n"}{end}';
      const text = await kubectl(['get', 'events', '-n', SPACE, `--field-selector=${field}`, '-o', notes]);
      return text.split('\n').filter((line) => line.startsWith('spec.rules'));
    };
    await eventually(async () => expect(await events()).toHaveLength(1));
    await kubectl(['delete', 'stp', 'refused', '-n', SPACE]);
    await schema(ours.spec.versions[0].schema.openAPIV3Schema.properties.spec);
    await eventually(() => expect(apply(text('a(b'))).rejects.toThrow('RE2'));
  });

  test('entries of another controller stay as they are', async () => {
    const theirs = {
      ancestorRef: { name: 'theirs' },
      controllerName: 'other.example/controller',
      conditions: [
        {
          type: 'Accepted',
          status: 'True',
          reason: 'Accepted',
          message: '',
          lastTransitionTime: '2026-01-01T00:00:00Z',
        },
      ],
    };
    const ours = (await getPolicy('second')).status?.ancestors ?? [];
    const patch = JSON.stringify({ status: { ancestors: [...ours, theirs] } });
    await kubectl(['patch', 'stp', 'second', '-n', SPACE, '--subresource=status', '--type=merge', '-p', patch]);
    await apply(policy('second', '{group: "", kind: Service, name: web, sectionName: http}'));
    await eventually(async () => {
      const { status } = await getPolicy('second');
      const refs = status?.ancestors?.map(({ ancestorRef }) => ancestorRef['sectionName'] ?? ancestorRef['name']);
      expect(refs).toEqual(['theirs', 'http']);
      expect(status?.ancestors?.[0]).toEqual(theirs);
    });
  });

  test('nothing is written while nothing changes', async () => {
    const versions = async (): Promise<string> =>
      kubectl(['get', 'stp,ingress', '-n', SPACE, '-o', 'jsonpath={.items[*].metadata.resourceVersion}']);
    const before = await versions();
    // Other changes make the controllers compile anew.
    await kubectl(['label', 'service', 'web', '-n', SPACE, 'touched=yes']);
    await pause(5000);
    expect(await versions()).toBe(before);
  });
});

test('an Event for a Problem, once, and none about Ingresses of others', async () => {
  const events = async (): Promise<string[]> =>
    (
      await kubectl([
        'get',
        'events.events.k8s.io',
        '-n',
        SPACE,
        '-o',
        'jsonpath={range .items[*]}{.regarding.kind} {.regarding.name}: {.note}{"\\n"}{end}',
      ])
    )
      .split('\n')
      .filter((line) => line.startsWith('Ingress'));
  await eventually(async () => expect(await events()).toHaveLength(1));
  expect((await events())[0]).toMatch(/^Ingress lonely: spec\.rules\[0\].*There is no Service control-shop\/nowhere/);
  expect(await kubectl(['describe', 'ingress', 'lonely', '-n', SPACE])).toContain('There is no Service');
});

describe('session keys', () => {
  test('three rotations in a row move no session on either replica', async () => {
    const clients = await Promise.all(Array.from({ length: 20 }, (_, i) => visit(replica(i % 2))));
    const secret = ['--session-keys-secret', `${SYSTEM}/keys`];
    for (let i = 0; i < 3; i++) {
      const { code, stdout, stderr } = await holdfast('keys', 'rotate', ...secret);
      expect(code, stderr).toBe(0);
      expect(stdout.match(/will sign/g)).toHaveLength(i + 1);
      for (const { pod, cookie } of clients)
        for (const one of replicas) expect((await visit(one, cookie)).pod).toBe(pod);
    }
    const fourth = await holdfast('keys', 'rotate', ...secret);
    expect(fourth.code).toBe(1);
    expect(fourth.stderr).toContain('rotate again after');
    const list = await holdfast('keys', 'list', ...secret);
    expect(list.stdout.trim().split('\n')).toHaveLength(5);
    for (const { key } of JSON.parse(await keysText()) as { key: string }[]) expect(list.stdout).not.toContain(key);
  });

  test('emptied: the keys in memory are written back', async () => {
    const before = await keysText();
    await kubectl(['patch', 'secret', 'keys', '-n', SYSTEM, '--type=merge', '-p', '{"data": null}']);
    await eventually(async () => expect((await keysText()).trim()).toBe(before.trim()));
    for (const one of replicas) await one.ready();
  });

  test('deleted: the keys in memory stay in force, it is told, and they are written back once it is there again', async () => {
    const before = await keysText();
    const { pod, cookie } = await visit(replica(0));
    await kubectl(['delete', 'secret', 'keys', '-n', SYSTEM]);
    for (const one of replicas) {
      await eventually(async () =>
        expect((await one.admin('/api/v1/problems')).body).toContain('create secret generic keys'),
      );
      expect((await visit(one, cookie)).pod).toBe(pod);
    }
    await kubectl(['create', 'secret', 'generic', 'keys', '-n', SYSTEM]);
    await eventually(async () => expect((await keysText()).trim()).toBe(before.trim()));
    for (const one of replicas) {
      await one.ready();
      await eventually(async () => expect((await one.admin('/api/v1/problems')).body).not.toContain('"Secret"'));
    }
  });

  test('a list that nobody can read is not written over, and the keys in memory stay in force', async () => {
    const good = await keysText();
    const { pod, cookie } = await visit(replica(0));
    const patch = (text: string): Promise<string> =>
      kubectl([
        'patch',
        'secret',
        'keys',
        '-n',
        SYSTEM,
        '--type=merge',
        '-p',
        JSON.stringify({ stringData: { 'keys.json': text } }),
      ]);
    await patch('[{"id": 1}]');
    await eventually(() => {
      for (const one of replicas) expect(one.log).toContain('key must be base64');
    });
    for (const one of replicas) expect((await visit(one, cookie)).pod).toBe(pod);
    expect(await keysText()).toBe('[{"id": 1}]');
    await patch(good);
  });
});

describe('drain', () => {
  test('every replica counts, whichever is asked, until the last request ends', async () => {
    const sticky = await eventually(async () => {
      const got = await visit(replica(0));
      expect(got.pod).toBe(PODS[0]);
      return got.cookie;
    });
    const open = await Promise.all(replicas.map((one) => send(one, '/hold', sticky)));
    const ask = async (one: Replica): Promise<unknown> =>
      JSON.parse((await one.admin(`/api/v1/drain?pod=${SPACE}/web-0`)).body);
    for (const one of replicas) {
      expect(await ask(one)).toMatchObject({
        inFlight: 2,
        upgraded: 0,
        done: false,
        replicas: { asked: 2, answered: 2 },
      });
    }
    // Nobody else may ask a single replica.
    expect((await replica(0).admin(`/api/v1/drain?pod=${SPACE}/web-0&local=1`)).status).toBe(401);

    const drained = holdfast('drain', `${SPACE}/web-0`, '--wait', '--admin-address', `${REPLICAS[1]}:9090`);
    await eventually(async () => {
      const pod = await get<{ metadata: { annotations?: Record<string, string> } }>('pod', 'web-0', '-n', SPACE);
      expect(pod.metadata.annotations?.['holdfast.dev/drain']).toMatch(/^\d{4}-.*Z$/);
    });
    await eventually(async () => {
      for (let i = 0; i < 10; i++) expect((await visit(replica(i % 2))).pod).not.toBe(PODS[0]);
    });
    for (const response of held) response.end();
    held = [];
    for (const response of open) response.resume();
    const { code, stdout } = await drained;
    expect(code).toBe(0);
    expect(stdout).toMatch(/^pod control-shop\/web-0 is draining\n\d+ sessions, 2 requests in flight/);
    expect(stdout).toMatch(/0 sessions, 0 requests in flight, 0 upgraded connections: no work left\n$/);
    expect((await holdfast('drain', `${SPACE}/web-0`, '--undrain')).stdout).toContain('no longer drained');
    await eventually(async () => expect((await visit(replica(0))).pod).toBe(PODS[0]));
  }, 60_000);

  test('it is not done while a replica does not answer', async () => {
    replica(1).child.kill('SIGSTOP');
    try {
      const { body } = await replica(0).admin(`/api/v1/drain?pod=${SPACE}/web-1`);
      expect(JSON.parse(body)).toMatchObject({ done: false, replicas: { asked: 2, answered: 1 } });
    } finally {
      replica(1).child.kill('SIGCONT');
    }
  });

  test('mistakes are told', async () => {
    expect(await holdfast('drain', 'web-0')).toMatchObject({ code: 2 });
    expect((await holdfast('drain', `${SPACE}/nobody`)).stderr).toContain(`there is no pod ${SPACE}/nobody`);
  });
});

test('a leader that stops gives its lease back: the other one leads at once, and writes nothing anew', async () => {
  const leading = await eventually(async () => {
    for (const one of replicas) if (await one.leads()) return one;
    throw new Error('nobody leads');
  });
  const other = replicas.find((one) => one !== leading);
  const before = (await getPolicy('first')).metadata.resourceVersion;
  await leading.stop();
  await eventually(async () => expect(await other?.leads(), other?.log).toBe(true), 8000);
  await apply(policy('third', '{group: "", kind: Service, name: web}'));
  await eventually(async () => expect(conditions(await getPolicy('third'))[0]).toBe('Accepted=True Accepted'));
  expect((await getPolicy('first')).metadata.resourceVersion).toBe(before);
}, 60_000);

describe('the addresses in the status, when replicas end', () => {
  const ours = { loadBalancer: { ingress: [{ ip: '203.0.113.7' }, { hostname: 'lb.example' }] } };
  const theirs = { loadBalancer: { ingress: [{ ip: '198.51.100.9' }] } };
  const ingress = (name: string): Promise<{ metadata: { resourceVersion: string }; status: unknown }> =>
    get('ingress', name, '-n', SPACE);
  const write = async (name: string, status: unknown): Promise<unknown> => {
    const patch = ['--subresource=status', '--type=merge', '-p', JSON.stringify({ status })];
    return await kubectl(['patch', 'ingress', name, '-n', SPACE, ...patch]);
  };

  test('stay with the last one, unless it was asked to remove them', async () => {
    const last = await eventually(async () => {
      for (const one of replicas) if (one.child.exitCode === null && (await one.leads())) return one;
      throw new Error('nobody leads');
    });
    await apply(replicasSlice(...REPLICAS));
    await last.stop();
    expect((await ingress('web')).status).toEqual(ours);
  });

  test('asked, they stay while another replica remains, and go with the last one, but for those of others', async () => {
    await apply(replicasSlice());
    replicas.splice(0, 2, ...REPLICAS.map((ip, i) => new Replica(ip, `control-${i}`, '--remove-status-on-shutdown')));
    const leading = await eventually(async () => {
      for (const one of replicas) if (await one.leads()) return one;
      throw new Error('nobody leads');
    });
    await Promise.all(replicas.map((one) => one.ready()));
    const other = replica(1 - replicas.indexOf(leading));
    await apply(replicasSlice(leading.address));
    const before = (await ingress('web')).metadata.resourceVersion;
    await write('lonely', null);
    await leading.stop();
    expect(leading.log).toContain('as a replica remains');
    // Whoever takes over looks at all of them, and puts back what is missing.
    await eventually(async () => expect((await ingress('lonely')).status, other.log).toEqual(ours));
    expect((await ingress('web')).metadata.resourceVersion).toBe(before);
    // It may be that the one before has still put back what was missing.
    await eventually(async () => expect(await other.leads(), other.log).toBe(true), 8000);

    await write('lonely', theirs);
    const policyBefore = (await getPolicy('first')).metadata.resourceVersion;
    await apply(replicasSlice(...REPLICAS));
    await other.stop();
    expect(other.log).toContain('our addresses have been taken out');
    expect((await ingress('web')).status).toEqual({ loadBalancer: {} });
    expect((await ingress('lonely')).status).toEqual(theirs);
    expect((await getPolicy('first')).metadata.resourceVersion).toBe(policyBefore);
    const lease = await get<{ spec: { holderIdentity?: string } }>('lease', 'leader', '-n', SYSTEM);
    expect(lease.spec.holderIdentity ?? '').toBe('');
  }, 60_000);
});
