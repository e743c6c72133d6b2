/** A small API server for tests of what writes: objects by path, with resource versions that are checked, over real HTTP. */
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { KubeClient } from '../../../src/source/kubernetes/client.ts';
import { createLogger, type Logger } from '../../../src/telemetry/logger.ts';

export type Raw = Record<string, unknown> & { metadata?: Record<string, unknown> };

export interface Seen {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly contentType: string | undefined;
  readonly body: Raw | undefined;
}

export class ApiServer {
  /** By path, as `GET` finds them. */
  readonly objects = new Map<string, Raw>();
  readonly seen: Seen[] = [];
  /** Answers instead of the server: a status, or nothing at all; undefined lets the request through. */
  intercept: (seen: Seen) => number | 'nothing' | undefined = () => undefined;
  #version = 1;
  #server: Server;
  readonly #dir = mkdtempSync(join(tmpdir(), 'holdfast-test-'));

  private constructor() {
    this.#server = createServer((request, response) => {
      this.#handle(request, response).catch((error: unknown) => response.destroy(error as Error));
    });
  }

  static async start(): Promise<{ server: ApiServer; client: KubeClient }> {
    const server = new ApiServer();
    server.#server.listen(0, '127.0.0.1');
    await once(server.#server, 'listening');
    const { port } = server.#server.address() as AddressInfo;
    const file = join(server.#dir, 'kubeconfig');
    writeFileSync(
      file,
      JSON.stringify({
        apiVersion: 'v1',
        kind: 'Config',
        clusters: [{ name: 'c', cluster: { server: `http://127.0.0.1:${port}`, 'insecure-skip-tls-verify': true } }],
        users: [{ name: 'u', user: {} }],
        contexts: [{ name: 'x', context: { cluster: 'c', user: 'u' } }],
        'current-context': 'x',
      }),
    );
    return { server, client: await KubeClient.connect({ kubeconfig: file, userAgent: 'test' }) };
  }

  async close(): Promise<void> {
    this.#server.close();
    this.#server.closeAllConnections();
    rmSync(this.#dir, { recursive: true, force: true });
  }

  put(path: string, raw: Raw): Raw {
    const before = this.objects.get(path)?.metadata;
    const name = path.split('/').at(-1);
    const namespace = /\/namespaces\/([^/]+)/.exec(path)?.[1];
    const stored = {
      ...raw,
      metadata: {
        uid: `uid of ${path}`,
        ...before,
        ...raw.metadata,
        name,
        namespace,
        resourceVersion: String(++this.#version),
      },
    };
    this.objects.set(path, stored);
    return stored;
  }

  writes(): Seen[] {
    return this.seen.filter(({ method }) => method !== 'GET');
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let text = '';
    for await (const chunk of request) text += String(chunk);
    const url = new URL(request.url ?? '/', 'http://api');
    const seen: Seen = {
      method: request.method ?? '',
      path: url.pathname,
      query: url.searchParams,
      contentType: request.headers['content-type'],
      body: text === '' ? undefined : (JSON.parse(text) as Raw),
    };
    this.seen.push(seen);
    const forced = this.intercept(seen);
    if (forced === 'nothing') return;
    const [status, body] = forced === undefined ? this.#answer(seen) : [forced, { kind: 'Status', code: forced }];
    response.writeHead(status, { 'content-type': 'application/json' });
    response.end(JSON.stringify(body));
  }

  #answer({ method, path, body = {} }: Seen): [number, unknown] {
    const found = this.objects.get(path);
    const stale = (stored: Raw | undefined): boolean => {
      const version = body.metadata?.['resourceVersion'];
      return version !== undefined && version !== stored?.metadata?.['resourceVersion'];
    };
    switch (method) {
      case 'POST': {
        const own = `${path}/${String(body.metadata?.['name'])}`;
        return this.objects.has(own) ? [409, {}] : [201, this.put(own, body)];
      }
      case 'PUT':
        if (found === undefined) return [404, {}];
        return stale(found) ? [409, {}] : [200, this.put(path, body)];
      case 'PATCH': {
        const target = path.replace(/\/status$/, '');
        const object = this.objects.get(target);
        if (object === undefined) return [404, {}];
        return stale(object) ? [409, {}] : [200, this.put(target, { ...object, status: body['status'] })];
      }
      default:
        if (found !== undefined) return [200, found];
        return /\/(ingresses|stickypolicies)$/.test(path) ? [200, this.#list(path)] : [404, {}];
    }
  }

  /** Of one namespace, or of all. */
  #list(path: string): unknown {
    const [, root = '', plural = ''] = /^(.*)\/([^/]+)$/.exec(path) ?? [];
    const items = [...this.objects].filter(([at]) => {
      const parts = at.split('/');
      return at.startsWith(`${root}/`) && parts.at(-2) === plural;
    });
    return { kind: 'List', metadata: { resourceVersion: String(this.#version) }, items: items.map(([, raw]) => raw) };
  }
}

/** Time that stands still until it is moved. */
export class TestClock {
  time = Date.UTC(2026, 0, 1);
  readonly #timers = new Map<number, { readonly at: number; readonly fn: () => void }>();
  #next = 1;

  now(): number {
    return this.time;
  }

  setTimeout(fn: () => void, ms: number): unknown {
    this.#timers.set(this.#next, { at: this.time + ms, fn });
    return this.#next++;
  }

  clearTimeout(handle: unknown): void {
    this.#timers.delete(handle as number);
  }

  /** Timers that are set. */
  get pending(): number {
    return this.#timers.size;
  }

  /** Moves on, running what is due in its order. */
  advance(ms: number): void {
    const end = this.time + ms;
    for (;;) {
      const due = [...this.#timers].filter(([, { at }]) => at <= end).sort(([, a], [, b]) => a.at - b.at)[0];
      if (due === undefined) break;
      this.#timers.delete(due[0]);
      this.time = Math.max(this.time, due[1].at);
      due[1].fn();
    }
    this.time = end;
  }
}

/** Waits until it holds; what failed last is what the test fails with. */
export async function until(check: () => void): Promise<void> {
  const deadline = performance.now() + 5000;
  for (;;) {
    try {
      check();
      return;
    } catch (error) {
      if (performance.now() > deadline) throw error;
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
}

/** A logger and the lines that it has written. */
export function logged(): { logger: Logger; lines: string[] } {
  const lines: string[] = [];
  return { logger: createLogger({ level: 'debug', write: (line) => lines.push(line) }), lines };
}
