/** Talks to the API server: requests and watch streams over kept connections, with credentials that are read again when refused. */
import { request as httpRequest, type ClientRequest, type IncomingHttpHeaders, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { Socket } from 'node:net';
import type { Readable } from 'node:stream';
import { TLSSocket } from 'node:tls';
import { loadCredentials, type Credentials } from './credentials.ts';

export interface KubeRequest {
  readonly query?: Readonly<Record<string, string>>;
  /** Sent as JSON unless it is text already. */
  readonly body?: unknown;
  /** Of the body; default `application/json`. */
  readonly contentType?: string;
  readonly accept?: string;
  readonly signal?: AbortSignal;
  /** Until the answer is complete (a stream: until its head), ms; default 30 s. */
  readonly timeout?: number;
}

export interface KubeResponse {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  /** @throws SyntaxError when the answer is not JSON */
  json(): unknown;
}

export interface KubeStream {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** Destroy it to end the stream. */
  readonly body: Readable;
}

/** The part of the client that reads and writes; rejects when no answer came, resolves whatever its status is. */
export interface KubeApi {
  request(method: string, path: string, options?: KubeRequest): Promise<KubeResponse>;
  stream(path: string, options?: KubeRequest): Promise<KubeStream>;
}

const REQUEST_MS = 30_000;
/** For TCP and TLS together: an address where nobody answers must not hold up what would work at the next try. */
const CONNECT_MS = 5_000;
/** Of one answer: a page of 500 large objects fits many times. */
const MAX_BYTES = 256 * 1024 * 1024;
const UNAUTHORIZED = 401;

class StaleConnection extends Error {}

export class KubeClient implements KubeApi {
  readonly #credentials: Credentials;
  readonly #userAgent: string;

  /**
   * @param options.kubeconfig a file; undefined = the pod's own account, else the files of `KUBECONFIG`
   * @throws Error with a message for the user: credentials that cannot be read
   */
  static async connect(options: {
    readonly kubeconfig: string | undefined;
    readonly userAgent: string;
  }): Promise<KubeClient> {
    return new KubeClient(await loadCredentials(options.kubeconfig), options.userAgent);
  }

  private constructor(credentials: Credentials, userAgent: string) {
    this.#credentials = credentials;
    this.#userAgent = userAgent;
  }

  /** The namespace of the pod we run in, or of the kubeconfig's context; undefined = neither says. */
  get namespace(): string | undefined {
    return this.#credentials.namespace;
  }

  async request(method: string, path: string, options: KubeRequest = {}): Promise<KubeResponse> {
    const { status, headers, body } = await this.#authorized(method, path, options);
    const text = await readText(body, MAX_BYTES);
    return { status, headers, text, json: () => JSON.parse(text) as unknown };
  }

  /** For watches: resolves with the answer's head; `timeout` does not limit the body. */
  async stream(path: string, options: KubeRequest = {}): Promise<KubeStream> {
    return await this.#authorized('GET', path, options, true);
  }

  /** Closes the connections that are idle; streams end when they are destroyed. */
  close(): void {
    this.#credentials.close();
  }

  /** Tokens are rotated under our feet: a refused one is read again, once. */
  async #authorized(method: string, path: string, options: KubeRequest, headOnly = false): Promise<KubeStream> {
    const answer = await this.#send(method, path, options, headOnly);
    if (answer.status !== UNAUTHORIZED) return answer;
    await readText(answer.body, MAX_BYTES);
    this.#credentials.refresh();
    return await this.#send(method, path, options, headOnly);
  }

  /** A kept connection may have been closed by the server just now; what may be asked twice is asked on a fresh one. */
  async #send(method: string, path: string, options: KubeRequest, headOnly: boolean): Promise<KubeStream> {
    try {
      return await this.#sendOnce(method, path, options, headOnly);
    } catch (error) {
      if (!(error instanceof StaleConnection) || method === 'POST') throw error;
      return await this.#sendOnce(method, path, options, headOnly);
    }
  }

  async #sendOnce(method: string, path: string, options: KubeRequest, headOnly: boolean): Promise<KubeStream> {
    const { server, agent, headers } = await this.#credentials.access();
    options.signal?.throwIfAborted();
    const body = bodyText(options.body);
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
    const send = server.protocol === 'https:' ? httpsRequest : httpRequest;
    const request = send({
      agent,
      method,
      host: server.hostname.replace(/^\[|\]$/g, ''),
      port: server.port === '' ? (server.protocol === 'https:' ? 443 : 80) : server.port,
      path: pathOf(server, path, options.query),
      headers: {
        ...headers,
        'user-agent': this.#userAgent,
        accept: options.accept ?? 'application/json',
        ...(body === undefined
          ? {}
          : { 'content-type': options.contentType ?? 'application/json', 'content-length': Buffer.byteLength(body) }),
      },
    });
    const ms = options.timeout ?? REQUEST_MS;
    const timer = setTimeout(() => request.destroy(new Error(`no answer from ${server.host} within ${ms} ms`)), ms);
    request.once('socket', (socket) => giveUpConnecting(request, socket, server.host));
    request.once('response', (response) => {
      // Whoever reads the body is told; until somebody does, an aborted one must not end the process.
      response.on('error', () => undefined);
      if (headOnly) clearTimeout(timer);
      else response.once('close', () => clearTimeout(timer));
      resolve(response);
    });
    request.on('error', (error: NodeJS.ErrnoException) => {
      const stale = request.reusedSocket && error.code === 'ECONNRESET';
      reject(stale ? new StaleConnection(error.message, { cause: error }) : error);
    });
    // Not left to the `signal` option: its error can meet the socket between two requests, when nobody listens.
    const abort = () => {
      reject(options.signal?.reason);
      request.destroy();
    };
    options.signal?.addEventListener('abort', abort, { once: true });
    request.once('close', () => {
      clearTimeout(timer);
      options.signal?.removeEventListener('abort', abort);
    });
    request.end(body);
    const response = await promise;
    return { status: response.statusCode ?? 0, headers: response.headers, body: response };
  }
}

function giveUpConnecting(request: ClientRequest, socket: Socket, where: string): void {
  // A kept connection, or one that an agent for a proxy has made.
  if (!socket.connecting) return;
  const timer = setTimeout(
    () => request.destroy(new Error(`no connection to ${where} within ${CONNECT_MS} ms`)),
    CONNECT_MS,
  );
  socket.once(socket instanceof TLSSocket ? 'secureConnect' : 'connect', () => clearTimeout(timer));
  request.once('close', () => clearTimeout(timer));
}

/** Reads a whole body; more than `limit` bytes are refused. */
export async function readText(body: Readable, limit: number): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > limit) throw new Error(`the answer is longer than ${limit} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function bodyText(body: unknown): string | undefined {
  return body === undefined || typeof body === 'string' ? body : JSON.stringify(body);
}

/** The server's own path is a prefix: clusters behind a gateway have one. */
function pathOf(server: URL, path: string, query: Readonly<Record<string, string>> = {}): string {
  const search = new URLSearchParams(query).toString();
  return `${server.pathname.replace(/\/$/, '')}${path}${search === '' ? '' : `?${search}`}`;
}
