/** A small API server for tests: list and watch over real HTTP, with faults on order. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';

export interface RawObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly namespace?: string;
    readonly name: string;
    readonly resourceVersion?: string;
    readonly [field: string]: unknown;
  };
  readonly [field: string]: unknown;
}

interface Logged {
  readonly version: number;
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  readonly object: RawObject;
}

interface Watch {
  readonly plural: string;
  readonly namespace: string;
  readonly selected: Selected;
  readonly response: ServerResponse;
  sent: number;
}

export interface Seen {
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingMessage['headers'];
  readonly at: number;
}

/** What to do with the next requests instead of answering them; return true = done. */
export type Fault = (request: Seen, response: ServerResponse) => boolean;

/** Whether a `fieldSelector` takes the object. */
type Selected = (object: RawObject | undefined) => boolean;

const PLURALS: Readonly<Record<string, string>> = {
  Ingress: 'ingresses',
  IngressClass: 'ingressclasses',
  Service: 'services',
  EndpointSlice: 'endpointslices',
  StickyPolicy: 'stickypolicies',
  Pod: 'pods',
  Secret: 'secrets',
};

export class ApiServer {
  readonly requests: Seen[] = [];
  /** Requests that carry another token are answered 401; undefined = anybody may come in. */
  token: string | undefined;
  /** Tried in order for each request; a fault that acts is used up. */
  readonly faults: Fault[] = [];
  /** A watch is closed after so many events. */
  closeEvery = Infinity;
  readonly #objects = new Map<string, RawObject>();
  readonly #log: Logged[] = [];
  readonly #watches = new Set<Watch>();
  readonly #server: Server;
  #port = 0;
  #version = 100;
  /** Versions up to this one are compacted: a watch from there is 410. */
  #compacted = 0;

  static async start(): Promise<ApiServer> {
    const api = new ApiServer();
    await api.listen();
    return api;
  }

  private constructor() {
    this.#server = createServer((request, response) => this.#handle(request, response));
  }

  /** Also after `close`, on the same port. */
  async listen(): Promise<void> {
    this.#server.listen(this.#port, '127.0.0.1');
    await once(this.#server, 'listening');
    this.#port = (this.#server.address() as AddressInfo).port;
  }

  async close(): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }

  /** Writes a kubeconfig for this server; `user` as in the file. */
  kubeconfig(file: string, user: Readonly<Record<string, unknown>> = {}): string {
    const cluster = { server: `http://127.0.0.1:${this.#port}`, 'insecure-skip-tls-verify': true };
    const config = {
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [{ name: 'c', cluster }],
      users: [{ name: 'u', user }],
      contexts: [{ name: 'x', context: { cluster: 'c', user: 'u', namespace: 'holdfast' } }],
      'current-context': 'x',
    };
    writeFileSync(file, JSON.stringify(config));
    return file;
  }

  /** Creates or replaces. */
  put(object: RawObject): void {
    const key = keyOf(object);
    const type = this.#objects.has(key) ? 'MODIFIED' : 'ADDED';
    const version = ++this.#version;
    const stored = { ...object, metadata: { ...object.metadata, resourceVersion: String(version) } };
    this.#objects.set(key, stored);
    this.#publish({ version, type, object: stored });
  }

  remove(kind: string, namespace: string, name: string): void {
    const key = `${PLURALS[kind] ?? ''}/${namespace}/${name}`;
    const object = this.#objects.get(key);
    if (object === undefined) return;
    this.#objects.delete(key);
    const version = ++this.#version;
    const last = { ...object, metadata: { ...object.metadata, resourceVersion: String(version) } };
    this.#publish({ version, type: 'DELETED', object: last });
  }

  objects(kind: string): RawObject[] {
    const plural = PLURALS[kind] ?? '';
    return [...this.#objects].filter(([key]) => key.startsWith(`${plural}/`)).map(([, object]) => object);
  }

  /** Forgets history: whoever watches from before is told 410. */
  compact(): void {
    this.#compacted = this.#version;
  }

  /** The running watches of a kind. */
  watches(kind: string): number {
    return [...this.#watches].filter(({ plural }) => plural === PLURALS[kind]).length;
  }

  /** Sends text as it is to the watches of a kind. */
  say(kind: string, text: string): void {
    for (const { plural, response } of this.#watches) if (plural === PLURALS[kind]) response.write(text);
  }

  bookmark(kind: string): void {
    const object = { kind, metadata: { resourceVersion: String(this.#version) } };
    this.say(kind, `${JSON.stringify({ type: 'BOOKMARK', object })}\n`);
  }

  endWatches(how: 'end' | 'reset'): void {
    for (const { response } of this.#watches) {
      if (how === 'end') response.end();
      else response.destroy();
    }
    this.#watches.clear();
  }

  #handle(request: IncomingMessage, response: ServerResponse): void {
    const url = new URL(request.url ?? '/', 'http://api');
    const seen = { path: url.pathname, query: url.searchParams, headers: request.headers, at: performance.now() };
    this.requests.push(seen);
    response.on('error', () => response.destroy());
    if (this.token !== undefined && request.headers.authorization !== `Bearer ${this.token}`) {
      status(response, 401, 'Unauthorized');
      return;
    }
    const fault = this.faults.findIndex((one) => one(seen, response));
    if (fault >= 0) {
      this.faults.splice(fault, 1);
      return;
    }
    const match = /^\/apis?(?:\/[^/]+)?\/v1(?:alpha1)?(?:\/namespaces\/([^/]+))?\/([a-z]+)$/.exec(seen.path);
    if (match === null) status(response, 404, 'no such path');
    else if (seen.query.get('watch') === 'true') this.#watch(match[2] ?? '', match[1] ?? '', seen.query, response);
    else this.#list(match[2] ?? '', match[1] ?? '', seen.query, response);
  }

  #list(plural: string, namespace: string, query: URLSearchParams, response: ServerResponse): void {
    const [at = '', version = String(this.#version)] = (query.get('continue') ?? '').split('@');
    if (at !== '' && Number(version) < this.#compacted) {
      status(response, 410, 'the continue token has expired', 'Expired');
      return;
    }
    const prefix = `${plural}/${namespace === '' ? '' : `${namespace}/`}`;
    const selected = selectedBy(query);
    const keys = [...this.#objects.keys()]
      .filter((key) => key.startsWith(prefix) && key > at && selected(this.#objects.get(key)))
      .sort();
    const limit = Number(query.get('limit') ?? Infinity);
    const page = keys.slice(0, limit);
    const rest = keys.length > page.length ? `${page.at(-1) ?? ''}@${version}` : '';
    // As the real one does, items come without kind and apiVersion.
    const items = page.map((key) => ({ ...this.#objects.get(key), kind: undefined, apiVersion: undefined }));
    const metadata = { resourceVersion: version, ...(rest === '' ? {} : { continue: rest }) };
    json(response, 200, { kind: 'AnythingList', apiVersion: 'v1', metadata, items });
  }

  #watch(plural: string, namespace: string, query: URLSearchParams, response: ServerResponse): void {
    const from = Number(query.get('resourceVersion'));
    if (from < this.#compacted) {
      status(response, 410, 'too old resource version', 'Expired');
      return;
    }
    response.writeHead(200, { 'content-type': 'application/json' });
    response.flushHeaders();
    const watch: Watch = { plural, namespace, selected: selectedBy(query), response, sent: 0 };
    this.#watches.add(watch);
    response.once('close', () => this.#watches.delete(watch));
    for (const entry of this.#log) if (entry.version > from) this.#send(watch, entry);
  }

  #publish(entry: Logged): void {
    this.#log.push(entry);
    for (const watch of [...this.#watches]) this.#send(watch, entry);
  }

  #send(watch: Watch, { type, object }: Logged): void {
    const [plural, namespace] = keyOf(object).split('/');
    if (plural !== watch.plural || (watch.namespace !== '' && watch.namespace !== namespace)) return;
    if (!watch.selected(object)) return;
    if (watch.response.writableEnded || watch.response.destroyed) return;
    watch.response.write(`${JSON.stringify({ type, object })}\n`);
    watch.sent++;
    if (watch.sent < this.closeEvery) return;
    this.#watches.delete(watch);
    watch.response.end();
  }
}

function keyOf({ kind, metadata }: RawObject): string {
  return `${PLURALS[kind] ?? ''}/${metadata.namespace ?? ''}/${metadata.name}`;
}

/** As far as it is asked for: names and types, equal or not. */
function selectedBy(query: URLSearchParams): Selected {
  const wanted = (query.get('fieldSelector') ?? '').split(',').filter((part) => part !== '');
  return (object) =>
    wanted.every((part) => {
      const [, field, not, value] = /^([a-z.]+)(!?)=(.*)$/.exec(part) ?? [];
      const actual = field === 'metadata.name' ? object?.metadata.name : object?.['type'];
      return (actual === value) === (not === '');
    });
}

function json(response: ServerResponse, code: number, value: unknown, headers: Record<string, string> = {}): void {
  response.writeHead(code, { 'content-type': 'application/json', ...headers });
  response.end(JSON.stringify(value));
}

export function status(
  response: ServerResponse,
  code: number,
  message: string,
  reason = '',
  headers: Record<string, string> = {},
): void {
  json(response, code, { kind: 'Status', apiVersion: 'v1', status: 'Failure', code, message, reason }, headers);
}
