/**
 * Pods come and go while 50 clients with cookies send requests: nothing fails, no session moves whose pod could still
 * serve, each lost one moves once, and the metrics tell the same as the backends and the clients have counted.
 */
import { beforeAll, expect, test } from 'vitest';
import { Client, eventually, file, ingress, policy, service, slices, startApp, startBackend } from '../support/app.ts';
import type { App, Backend } from '../support/app.ts';
import { seededRandom } from '../support/random.ts';
import { visitWebSocket } from '../support/websocket.ts';
import type { Visit } from '../support/websocket.ts';

const GRACE_MS = 250;
const CHANGES = 50;
const SEED = 20_261_121;
/** Pods at the start; at least so many stay Ready. */
const LEAST_READY = 3;
const MOST_PODS = 8;

/** A time in which a pod could not serve; all times are wall clock ms. */
interface Loss {
  /** Sessions may leave from here on: the edit is about to be written (and the grace is over). */
  readonly mayFrom: number;
  /** Requests that begin later must go elsewhere: every worker knows. */
  mustFrom: number;
  /** The edit that ends the loss is about to be written. */
  mustUntil: number;
  /** Every worker knows that the loss is over: requests that begin later must not leave. */
  mayUntil: number;
}

class Pod {
  state: 'ready' | 'draining' | 'notReady' | 'gone' = 'ready';
  readonly losses: Loss[] = [];
  /** Every worker knows that it drains. */
  drainsFrom = Infinity;
  readonly backend: Backend;

  constructor(backend: Backend) {
    this.backend = backend;
  }

  get name(): string {
    return this.backend.pod;
  }

  lose(graceMs: number): Loss {
    const loss = { mayFrom: Date.now() + graceMs, mustFrom: Infinity, mustUntil: Infinity, mayUntil: Infinity };
    this.losses.push(loss);
    return loss;
  }

  /** The loss for which a session may have left during a request from `begun` to `ended`. */
  lossIn(begun: number, ended: number): Loss | undefined {
    return this.losses.find((loss) => loss.mayFrom <= ended && begun <= loss.mayUntil);
  }

  mustNotServe(begun: number, ended: number): boolean {
    return this.losses.some((loss) => loss.mustFrom < begun && ended < loss.mustUntil);
  }
}

class Cluster {
  readonly pods = new Map<string, Pod>();
  readonly done: Record<string, number> = {};
  #app: App | undefined;
  #count = 0;

  async start(): Promise<App> {
    for (let i = 0; i < LEAST_READY + 1; i++) await this.#newPod();
    this.#app = await startApp({
      manifests: {
        'routes.yaml': file(
          ingress({ host: 'web.test' }),
          service(),
          policy({
            rules: [{ name: 'browsers', cookie: { name: 'HF', mode: 'Insert' } }],
            onEndpointLost: { notReadyGrace: `${GRACE_MS}ms` },
          }),
        ),
        'pods.yaml': this.#manifest(),
      },
    });
    return this.#app;
  }

  pod(name: string): Pod {
    const pod = this.pods.get(name);
    if (pod === undefined) throw new Error(`${name} answered, but there was no such pod`);
    return pod;
  }

  /** One edit of the manifests, of a kind that is possible now; live in every worker when it resolves. */
  async change(random: () => number): Promise<void> {
    const oneOf = <T>(list: readonly T[]): T | undefined => list[Math.floor(random() * list.length)];
    const spare = this.#in('ready').length > LEAST_READY;
    const kinds = [
      ...(this.#in('ready', 'draining', 'notReady').length < MOST_PODS ? ['add', 'add'] : []),
      ...(spare ? ['drain', 'unready', 'remove'] : []),
      ...(this.#in('draining').length > 0 ? ['removeDrained'] : []),
      ...(this.#in('notReady').length > 0 ? ['recover', 'removeUnready'] : []),
    ];
    const kind = oneOf(kinds) ?? 'add';
    this.done[kind] = (this.done[kind] ?? 0) + 1;
    switch (kind) {
      case 'add':
        await this.#newPod();
        return await this.#apply();
      case 'drain':
        return await this.#drain(oneOf(this.#in('ready')));
      case 'unready':
        return await this.#unready(oneOf(this.#in('ready')));
      case 'recover':
        return await this.#recover(oneOf(this.#in('notReady')));
      case 'remove':
        return await this.#remove(oneOf(this.#in('ready')));
      case 'removeDrained':
        return await this.#remove(oneOf(this.#in('draining')));
      default:
        return await this.#remove(oneOf(this.#in('notReady')));
    }
  }

  async #newPod(): Promise<void> {
    const backend = await startBackend({ pod: `web-${this.#count++}` });
    this.pods.set(backend.pod, new Pod(backend));
  }

  async #drain(pod: Pod | undefined): Promise<void> {
    if (pod === undefined) return;
    pod.state = 'draining';
    await this.#apply();
    pod.drainsFrom = Date.now();
  }

  /** Its sessions have to leave when the grace is over, which is waited for: no further change hides it. */
  async #unready(pod: Pod | undefined): Promise<void> {
    if (pod === undefined) return;
    const loss = pod.lose(GRACE_MS);
    pod.state = 'notReady';
    await this.#apply();
    loss.mustFrom = Date.now() + GRACE_MS;
    await eventually(() => Date.now() > loss.mustFrom);
  }

  async #recover(pod: Pod | undefined): Promise<void> {
    const loss = pod?.losses.at(-1);
    if (pod === undefined || loss === undefined) return;
    loss.mustUntil = Date.now();
    pod.state = 'ready';
    await this.#apply();
    loss.mayUntil = Date.now();
  }

  /** The backend goes on serving until nobody uses it any more; then its port refuses connections. */
  async #remove(pod: Pod | undefined): Promise<void> {
    if (pod === undefined) return;
    const loss = pod.lose(0);
    pod.state = 'gone';
    await this.#apply();
    loss.mustFrom = Date.now();
    const labels = { pod: pod.name };
    await eventually(async () => (await this.#app?.metrics())?.value('holdfast_endpoint_inflight', labels) === 0);
    await pod.backend.close();
  }

  async #apply(): Promise<void> {
    await this.#app?.change('pods.yaml', this.#manifest());
  }

  #manifest(): string {
    const known = [...this.pods.values()].filter(({ state }) => state !== 'gone');
    return slices(
      'web',
      known.map(({ backend, state }) => {
        if (state === 'draining') return backend.endpoint({ ready: false, serving: true, terminating: true });
        return backend.endpoint({ ready: state === 'ready' });
      }),
    );
  }

  #in(...states: readonly Pod['state'][]): Pod[] {
    return [...this.pods.values()].filter(({ state }) => states.includes(state));
  }
}

/** One request over one lane; `turn` counts them. */
type Visiting = (client: Client, turn: number) => Promise<Visit>;

/** A client that sends request after request and checks each answer against what the cluster was doing meanwhile. */
class Visitor {
  readonly moves: { readonly from: string; readonly loss: Loss }[] = [];
  requests = 0;
  readonly #client: Client;
  readonly #visit: Visiting;
  #pod = '';

  constructor(port: number, visit: Visiting) {
    this.#client = new Client(port, { jar: true });
    this.#visit = visit;
  }

  async run(cluster: Cluster, stopped: () => boolean): Promise<void> {
    while (!stopped()) {
      const begun = Date.now();
      const { pod, setCookies } = await this.#visit(this.#client, this.requests++);
      this.#check(cluster, pod, setCookies, begun, Date.now());
      this.#pod = pod;
    }
  }

  #check(cluster: Cluster, name: string, setCookies: readonly string[], begun: number, ended: number): void {
    const pod = cluster.pod(name);
    expect(pod.mustNotServe(begun, ended), `${name} served although it was lost`).toBe(false);
    const moved = name !== this.#pod;
    expect(setCookies, moved ? 'one cookie for a new place' : 'no cookie for a kept session').toHaveLength(
      moved ? 1 : 0,
    );
    if (!moved) return;
    expect(pod.drainsFrom < begun, `a session was begun on or moved to ${name}, which drains`).toBe(false);
    if (this.#pod === '') return;
    const loss = cluster.pod(this.#pod).lossIn(begun, ended);
    if (loss === undefined) throw new Error(`a session left ${this.#pod}, which could still serve, for ${name}`);
    this.moves.push({ from: this.#pod, loss });
  }
}

const raw: Visiting = async (client, turn) => {
  const post = turn % 4 === 3;
  return await client.ask(`/${turn}`, post ? { method: 'POST', body: 'x'.repeat(turn % 5000) } : {});
};

const upgrade: Visiting = async (client) => await visitWebSocket(client);

let cluster: Cluster;
let app: App;

beforeAll(async () => {
  cluster = new Cluster();
  app = await cluster.start();
});

test('T64: 50 clients while the endpoints change 50 times', { timeout: 120_000 }, async () => {
  const visitors = Array.from({ length: 50 }, (_, i) => new Visitor(app.port, i < 40 ? raw : upgrade));
  let stop = false;
  // The first failure ends the test.
  const untilStopped = async (work: () => Promise<void>) => {
    try {
      await work();
    } finally {
      stop = true;
    }
  };
  const random = seededRandom(SEED);
  const ended = await Promise.allSettled([
    ...visitors.map((visitor) => untilStopped(() => visitor.run(cluster, () => stop))),
    untilStopped(async () => {
      for (let i = 0; i < CHANGES && !stop; i++) await cluster.change(random);
    }),
  ]);
  for (const end of ended) if (end.status === 'rejected') throw end.reason;

  for (const kind of ['add', 'drain', 'unready', 'recover', 'remove', 'removeDrained', 'removeUnready'])
    expect(cluster.done[kind], kind).toBeGreaterThan(0);
  for (const { moves } of visitors) expect(new Set(moves.map(({ loss }) => loss)).size).toBe(moves.length);

  const requests = visitors.reduce((sum, visitor) => sum + visitor.requests, 0);
  const moves = visitors.reduce((sum, visitor) => sum + visitor.moves.length, 0);
  expect(moves).toBeGreaterThan(50);
  const metrics = await app.metrics();
  expect(metrics.by('outcome', 'holdfast_decisions_total')).toEqual({
    new: 50,
    kept: requests - 50 - moves,
    moved: moves,
  });
  expect(Object.keys(metrics.by('reason', 'holdfast_decisions_total', { outcome: 'moved' })).sort()).toEqual([
    'endpoint_gone',
    'not_ready',
  ]);
  const counted = Object.fromEntries([...cluster.pods].map(([name, { backend }]) => [name, backend.requests]));
  expect(metrics.by('pod', 'holdfast_endpoint_requests_total')).toEqual(counted);
  expect(Object.values(counted).reduce((sum, count) => sum + count, 0)).toBe(requests);
  expect(metrics.sum('holdfast_http_errors_total')).toBe(0);
  await eventually(async () => (await app.metrics()).sum('holdfast_endpoint_inflight') === 0);
});
