/** A sample backend that plays a pod: it counts what it served, and its port can refuse connections for a while. */
import { createServer } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { TlsOptions } from 'node:tls';
import { WebSocketServer } from 'ws';
import { closeAtEnd } from './cleanup.ts';
import type { EndpointOptions } from './manifests.ts';

export type Handler = (request: IncomingMessage, response: ServerResponse) => void;

export interface BackendOptions {
  readonly pod: string;
  /** Default 127.0.0.1. */
  readonly address?: string;
  /** Default 0 = any free port. */
  readonly port?: number;
  /** Default: answers JSON that names the pod and tells what was asked. */
  readonly handler?: Handler;
  /** It speaks HTTPS. */
  readonly tls?: TlsOptions;
}

/** What the default handler answers. */
export interface Described {
  readonly pod: string;
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly bodyBytes: number;
}

export async function startBackend(options: BackendOptions): Promise<Backend> {
  const backend = new Backend(options);
  closeAtEnd(() => backend.close());
  await backend.listen();
  return backend;
}

/** `names` in order, each with its own port. */
export async function startBackends(...names: readonly string[]): Promise<Backend[]> {
  return await Promise.all(names.map((pod) => startBackend({ pod })));
}

export class Backend {
  readonly pod: string;
  readonly address: string;
  port: number;
  /** Requests and upgrades that reached it. */
  requests = 0;
  readonly #handler: Handler;
  readonly #tls: TlsOptions | undefined;
  readonly #sockets = new Set<Socket>();
  readonly #websockets = new WebSocketServer({ noServer: true });
  #server: Server | undefined;

  constructor({ pod, address = '127.0.0.1', port = 0, handler, tls }: BackendOptions) {
    this.pod = pod;
    this.address = address;
    this.port = port;
    this.#tls = tls;
    this.#handler = handler ?? ((request, response) => this.#describe(request, response));
  }

  /** For the manifests. */
  endpoint(more: Partial<EndpointOptions> = {}): EndpointOptions {
    return { pod: this.pod, address: this.address, port: this.port, ...more };
  }

  /** Accepts connections, on the same port as before. */
  async listen(): Promise<void> {
    const serve: Handler = (request, response) => {
      this.requests++;
      this.#handler(request, response);
    };
    const options = { keepAliveTimeout: 60_000 };
    const server =
      this.#tls === undefined ? createServer(options, serve) : createSecureServer({ ...options, ...this.#tls }, serve);
    server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
    });
    server.on('upgrade', (request, socket, head) => {
      this.requests++;
      this.#websockets.handleUpgrade(request, socket, head, (websocket) => {
        websocket.send(this.pod);
        websocket.on('message', (data, binary) => websocket.send(data, { binary }));
        websocket.on('error', () => websocket.terminate());
      });
    });
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    server.once('error', reject);
    server.listen({ host: this.address, port: this.port }, resolve);
    await promise;
    server.off('error', reject);
    this.port = (server.address() as AddressInfo).port;
    this.#server = server;
  }

  /** Connections that are open. */
  get connections(): number {
    return this.#sockets.size;
  }

  /** Connections are refused from now on, and those that are open are cut: a container that has stopped. */
  async close(): Promise<void> {
    const server = this.#server;
    if (server === undefined) return;
    this.#server = undefined;
    const closed = new Promise((resolve) => server.close(resolve));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  #describe(request: IncomingMessage, response: ServerResponse): void {
    let bodyBytes = 0;
    request.on('data', (chunk: Buffer) => (bodyBytes += chunk.length));
    request.on('error', () => response.destroy());
    request.on('end', () => {
      const { method, url, headers } = request;
      const body = JSON.stringify({ pod: this.pod, method, path: url, headers, bodyBytes });
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) });
      response.end(body);
    });
  }
}
