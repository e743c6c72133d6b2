/** Stands between a controller and the API server, and does to it what networks and API servers do at their worst. */
import { readFileSync } from 'node:fs';
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Agent, createServer, request as httpsRequest, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { API_CA, API_SERVER } from './control-plane.ts';
import type { Way } from './controller.ts';
import { run } from './kube.ts';

export interface Asked {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly token: string;
}

/** An answer instead of the API server's; no answer at all; or its own, that breaks off in the middle. */
export type Fault = { readonly status: number } | 'cut' | 'half';

export interface Seen extends Asked {
  /** undefined = it got no answer, or none yet. */
  status: number | undefined;
}

export class ApiProxy {
  readonly seen: Seen[] = [];
  readonly way: Way;
  /** Asked of every request; undefined = it is passed on. */
  fault: ((asked: Asked) => Fault | undefined) | undefined;
  readonly #server: Server;
  readonly #pageSize: number;
  readonly #watches = new Set<WatchStream>();
  readonly #agent = new Agent({ keepAlive: true, ca: readFileSync(API_CA) });

  private constructor(server: Server, authority: string, pageSize: number) {
    const { port } = server.address() as AddressInfo;
    this.way = { host: '127.0.0.1', port, authority };
    this.#server = server;
    this.#pageSize = pageSize;
    server.on('request', (request, response) => this.#take(request, response));
  }

  /** @param pageSize of lists, less than what is asked for: a server may give less, and lists are then in pages */
  static async start(directory: string, pageSize: number): Promise<ApiProxy> {
    const [key, cert] = [join(directory, 'proxy.key'), join(directory, 'proxy.crt')];
    const subject = ['-subj', '/CN=proxy', '-addext', 'subjectAltName=IP:127.0.0.1'];
    const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1'];
    const made = await run('openssl', ['req', '-x509', '-nodes', ...curve, '-keyout', key, '-out', cert, ...subject]);
    if (made.code !== 0) throw new Error(made.stderr);
    const server = createServer({ key: readFileSync(key), cert: readFileSync(cert) });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new ApiProxy(server, cert, pageSize);
  }

  /** As a load balancer does that has had enough; how many there were. */
  closeWatches(): number {
    const count = this.#watches.size;
    for (const watch of this.#watches) watch.end();
    return count;
  }

  /** From now on the watches that run tell nothing. */
  holdWatches(): void {
    for (const watch of this.#watches) watch.held = true;
  }

  /** A line in every watch that runs, held or not. */
  say(line: string): void {
    for (const watch of this.#watches) watch.say(line);
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
    this.#agent.destroy();
  }

  #take(request: IncomingMessage, response: ServerResponse): void {
    const { pathname, searchParams } = new URL(request.url ?? '', 'https://proxy');
    const token = (request.headers.authorization ?? '').replace('Bearer ', '');
    const asked: Seen = { method: request.method ?? '', path: pathname, query: searchParams, token, status: undefined };
    this.seen.push(asked);
    const fault = this.fault?.(asked);
    if (fault === 'cut') {
      request.socket.destroy();
    } else if (typeof fault === 'object') {
      asked.status = fault.status;
      response.writeHead(fault.status, { 'content-type': 'application/json' }).end(statusOf(fault.status));
    } else this.#pass(request, response, asked, fault === 'half');
  }

  #pass(request: IncomingMessage, response: ServerResponse, asked: Seen, half: boolean): void {
    const query = new URLSearchParams(asked.query);
    if (query.has('limit')) query.set('limit', String(this.#pageSize));
    const { host: _, ...headers } = request.headers;
    const path = `${asked.path}?${query.toString()}`;
    const options = {
      ...API_SERVER,
      agent: this.#agent,
      ca: readFileSync(API_CA),
      method: asked.method,
      path,
      headers,
    };
    const passed = httpsRequest(options, (answer) => {
      asked.status = answer.statusCode;
      const watch = asked.query.get('watch') === 'true' && answer.statusCode === 200;
      if (watch) this.#watch(answer, response);
      else passBody(answer, response, half);
    });
    passed.on('error', () => response.destroy());
    response.on('close', () => passed.destroy());
    request.pipe(passed);
  }

  #watch(answer: IncomingMessage, response: ServerResponse): void {
    const watch = new WatchStream(answer, response);
    this.#watches.add(watch);
    response.on('close', () => this.#watches.delete(watch));
  }
}

/** Passes on whole lines, so that what is said in between is a line too. */
class WatchStream {
  held = false;
  readonly #response: ServerResponse;
  #rest = '';

  constructor(answer: IncomingMessage, response: ServerResponse) {
    this.#response = response;
    response.writeHead(200, { 'content-type': 'application/json' });
    response.flushHeaders();
    answer.setEncoding('utf8');
    answer.on('data', (text: string) => this.#take(text));
    answer.on('error', () => response.destroy());
    answer.on('end', () => this.end());
  }

  say(line: string): void {
    if (!this.#response.writableEnded) this.#response.write(`${line}\n`);
  }

  end(): void {
    this.#response.end();
  }

  #take(text: string): void {
    const lines = (this.#rest + text).split('\n');
    this.#rest = lines.pop() ?? '';
    if (this.held) return;
    for (const line of lines) this.say(line);
  }
}

function passBody(answer: IncomingMessage, response: ServerResponse, half: boolean): void {
  response.writeHead(answer.statusCode ?? 502, answer.headers);
  answer.on('error', () => response.destroy());
  if (half) {
    answer.once('data', (chunk: Buffer) => {
      response.write(chunk.subarray(0, chunk.length / 2), () => response.destroy());
    });
  } else answer.pipe(response);
}

/** As the API server words it. */
export function statusOf(code: number): string {
  const reason = { 401: 'Unauthorized', 410: 'Expired' }[code] ?? 'InternalError';
  const message = `said by the test: ${reason}`;
  return JSON.stringify({ kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', message, reason, code });
}
