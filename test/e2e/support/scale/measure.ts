/** How long changes take from the arrival of their watch event to the first answers that show them, seen from outside. */
import { api, pause, watch } from '../kube.ts';
import { Line } from './line.ts';
import { addressOf, changeOf, hostOf, ingressOf, type ApiObject, type Size } from './world.ts';

/** Of both kinds of change: a line for each, which in all likelihood reach every worker. */
const LINES = 8;
/** Between two questions of a line. */
const GAP_MS = 1;
/** The store waits this long for more events, so that nothing can be live earlier. */
const HOLD_OFF_MS = 1;
const GIVE_UP_MS = 10_000;
const CREATED = 201;

export interface Times {
  readonly count: number;
  /** ms. */
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

/** Creates objects, so many at a time. @throws Error when the API server refuses one */
export async function create(objects: Iterable<ApiObject>, parallel: number): Promise<void> {
  const rest = objects[Symbol.iterator]();
  const worker = async () => {
    for (let next = rest.next(); next.done !== true; next = rest.next()) {
      const { status, text } = await api('POST', next.value.path, next.value.body);
      if (status !== CREATED) throw new Error(`${next.value.path}: ${status} ${text}`);
    }
  };
  await Promise.all(Array.from({ length: parallel }, worker));
}

/** Changes one Service's endpoints after the other; each is live when every line's answer comes from the new pod. */
export async function measureEndpoints(controller: string, changes: number, size: Size): Promise<Times> {
  const arrivals = await Arrivals.of<{ endpoints?: readonly { addresses: readonly string[] }[] }>(
    '/apis/discovery.k8s.io/v1/endpointslices',
    ({ endpoints }) => endpoints?.[0]?.addresses[0] ?? '',
  );
  const lines = await open(controller);
  const times: number[] = [];
  for (let change = 0; change < changes; change++) {
    // A stride without a factor in common with the number of Services: all over the cluster.
    const service = (change * 7) % size.services;
    const { path, endpoints, address } = changeOf(service, change, size);
    const arrival = arrivals.next(address);
    const { status, text } = await api('PATCH', path, { endpoints });
    if (status !== 200) throw new Error(`${path}: ${status} ${text}`);
    const since = await arrival;
    times.push((await live(lines, hostOf(service), (body) => body === address)) - since);
  }
  arrivals.close();
  for (const line of lines) line.close();
  return summary(times);
}

/** Creates Ingresses one after the other; each is live when every line is answered by a pod. */
export async function measureIngresses(controller: string, count: number, size: Size): Promise<Times> {
  const arrivals = await Arrivals.of<{ metadata: { name: string } }>(
    '/apis/networking.k8s.io/v1/ingresses',
    ({ metadata }) => metadata.name,
  );
  const lines = await open(controller);
  const times: number[] = [];
  for (let i = size.services; i < size.services + count; i++) {
    const arrival = arrivals.next(`i${i}`);
    await create([ingressOf(i, i % size.services, size)], 1);
    const since = await arrival;
    times.push((await live(lines, hostOf(i), (_, status) => status === 200)) - since);
  }
  arrivals.close();
  for (const line of lines) line.close();
  return summary(times);
}

async function open(controller: string): Promise<Line[]> {
  return await Promise.all(Array.from({ length: LINES }, () => Line.open(controller, 8080)));
}

/** When the last of the lines had its first right answer. */
async function live(
  lines: readonly Line[],
  host: string,
  right: (body: string, status: number) => boolean,
): Promise<number> {
  await pause(HOLD_OFF_MS);
  const deadline = performance.now() + GIVE_UP_MS;
  const times = lines.map(async (line) => {
    for (;;) {
      const { body, status } = await line.ask(host);
      if (right(body, status)) return performance.now();
      if (performance.now() > deadline) throw new Error(`${host} answers ${status} ${body} for ${GIVE_UP_MS} ms`);
      await pause(GAP_MS);
    }
  });
  return Math.max(...(await Promise.all(times)));
}

/** When the API server told this process of changes: its own watch, beside the controller's. */
class Arrivals {
  readonly #waiting = new Map<string, (at: number) => void>();
  #stop: (() => void) | undefined;

  static async of<T>(path: string, keyOf: (object: T) => string): Promise<Arrivals> {
    const arrivals = new Arrivals();
    const listed = JSON.parse((await api('GET', `${path}?limit=1`)).text) as { metadata: { resourceVersion: string } };
    const from = `${path}?resourceVersion=${listed.metadata.resourceVersion}`;
    arrivals.#stop = await watch<T>(from, ({ object }) => {
      const key = keyOf(object);
      arrivals.#waiting.get(key)?.(performance.now());
      arrivals.#waiting.delete(key);
    });
    return arrivals;
  }

  async next(key: string): Promise<number> {
    const { promise, resolve } = Promise.withResolvers<number>();
    this.#waiting.set(key, resolve);
    return await promise;
  }

  close(): void {
    this.#stop?.();
  }
}

/** Clients that go on asking for the hosts that are there, each with its session. */
export class Traffic {
  requests = 0;
  readonly failures: string[] = [];
  #stopped = false;
  #clients: Promise<void[]> | undefined;

  static start(controller: string, clients: number, pace: number, size: Size): Traffic {
    const traffic = new Traffic();
    traffic.#clients = Promise.all(Array.from({ length: clients }, (_, i) => traffic.#run(controller, i, pace, size)));
    return traffic;
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#clients;
  }

  /** Goes round the hosts; a session that a host has given must stay where it is. */
  async #run(controller: string, client: number, pace: number, size: Size): Promise<void> {
    const line = await Line.open(controller, 8080);
    const sessions = new Map<number, { cookie: string; pod: string }>();
    for (let turn = client * 37; !this.#stopped; turn += 101) {
      const i = turn % Math.min(size.services, 500);
      const session = sessions.get(i);
      this.requests++;
      try {
        const { status, body, cookie } = await line.ask(hostOf(i), session?.cookie);
        if (status !== 200) this.failures.push(`${hostOf(i)}: ${status} ${body}`);
        else if (session !== undefined && session.cookie !== '' && session.pod !== body)
          this.failures.push(`${hostOf(i)}: the session moved from ${session.pod} to ${body}`);
        sessions.set(i, { cookie: cookie === '' ? (session?.cookie ?? '') : cookie, pod: body });
      } catch (error) {
        this.failures.push(`${hostOf(i)}: ${String(error)}`);
        return;
      }
      await pause(pace);
    }
    line.close();
  }
}

function summary(times: readonly number[]): Times {
  const sorted = [...times].sort((a, b) => a - b);
  const at = (share: number): number => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
  return { count: sorted.length, p50: at(0.5), p99: at(0.99), max: at(1) };
}

/** Whether every host is answered by a pod of its own Service; what is wrong otherwise. */
export async function wrongHosts(controller: string, count: number, size: Size): Promise<string[]> {
  const wrong: string[] = [];
  const lines = await open(controller);
  await Promise.all(
    lines.map(async (line, part) => {
      for (let i = part; i < count; i += lines.length) {
        const { status, body } = await line.ask(hostOf(i));
        if (status !== 200 || !belongsTo(body, i % size.services, size)) wrong.push(`${hostOf(i)}: ${status} ${body}`);
      }
    }),
  );
  for (const line of lines) line.close();
  return wrong;
}

function belongsTo(address: string, service: number, { endpointsPerService }: Size): boolean {
  return Array.from({ length: endpointsPerService }, (_, pod) => pod).some(
    (pod) => addressOf(1024 + service * endpointsPerService + pod) === address,
  );
}
