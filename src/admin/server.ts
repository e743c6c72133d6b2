/** The admin server: health, readiness, metrics and the JSON API on their own address. */
import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Logger } from '../telemetry/logger.ts';
import { ENDPOINTS, errorAnswer } from './answers.ts';
import type { Answer } from './answers.ts';
import { isLocalHost, isLoopback } from './host-check.ts';
import { limitPerPeer } from './peers.ts';
import type { AdminOptions, AdminServer } from './types.ts';

const METHODS = 'GET, HEAD';
const MAX_CONNECTIONS = 256;
const MAX_PER_PEER = 32;

/** Resolves when it listens; rejects with the listener's error (`EADDRINUSE`, `EACCES`, …). */
export async function startAdmin(options: AdminOptions, logger?: Logger): Promise<AdminServer> {
  const { promise: listening, resolve, reject } = Promise.withResolvers<void>();
  // A slow or silent client may hold a connection for seconds, never for ever, and only so many at a time. `headersTimeout`
  // counts from the connection on, so one that says nothing at all is let go, too.
  const server = createServer(
    {
      headersTimeout: 5_000,
      requestTimeout: 10_000,
      keepAliveTimeout: 5_000,
      connectionsCheckingInterval: 1_000,
      maxHeaderSize: 8192,
    },
    (request, response) => {
      handle(options, request, response).catch((error: unknown) => {
        logger?.error({ err: error, path: pathOf(request) }, 'the admin server could not answer');
        if (!response.headersSent) write(request, response, errorAnswer(500, 'internal error; the log says more'));
        else response.destroy();
      });
    },
  );
  server.maxConnections = MAX_CONNECTIONS;
  limitPerPeer(server, MAX_PER_PEER);
  // Nothing here is long: a client that does not read its answer is let go.
  server.setTimeout(30_000, (socket) => socket.destroy());
  server.once('error', reject);
  server.listen({ host: options.address.host, port: options.address.port }, resolve);
  await listening;
  server.off('error', reject);
  server.on('error', (error) => logger?.error({ err: error }, 'the admin listener failed'));
  return { address: addressOf(server), close: () => close(server) };
}

async function handle(options: AdminOptions, request: IncomingMessage, response: ServerResponse): Promise<void> {
  // Whatever body comes is of no use here.
  request.resume();
  write(request, response, await answer(options, request), request.method === 'HEAD');
}

async function answer(options: AdminOptions, request: IncomingMessage): Promise<Answer> {
  const path = pathOf(request);
  const endpoint = ENDPOINTS.get(path);
  // A pod's preStop hook asks for its drain by whatever name the Service has.
  if (path.startsWith('/api/') && path !== '/api/v1/drain') {
    const ours = [options.address.host, request.socket.localAddress ?? ''];
    if (!isLocalHost(request.headers.host, ours)) {
      return errorAnswer(403, 'the Host header is not a local one: use localhost or the address itself');
    }
  }
  if (endpoint === undefined) return errorAnswer(404, `no such path; there are ${[...ENDPOINTS.keys()].join(', ')}`);
  if (request.method !== 'GET' && request.method !== 'HEAD') return errorAnswer(405, `use ${METHODS}`);
  return endpoint(options, new URLSearchParams(queryOf(request)), {
    target: request.url ?? '/',
    authorization: request.headers.authorization,
    loopback: isLoopback(request.socket.remoteAddress ?? ''),
  });
}

function write(
  request: IncomingMessage,
  response: ServerResponse,
  { status, contentType, body }: Answer,
  headOnly = false,
): void {
  const bytes = Buffer.from(body);
  response.writeHead(status, {
    'content-type': contentType,
    'content-length': bytes.length,
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    ...(status === 405 ? { allow: METHODS } : {}),
    // A request with a body is not read to its end: the connection is of no further use.
    ...(request.complete ? {} : { connection: 'close' }),
  });
  response.end(headOnly ? undefined : bytes);
}

function pathOf(request: IncomingMessage): string {
  return (request.url ?? '/').split('?', 1)[0] ?? '/';
}

function queryOf(request: IncomingMessage): string {
  const url = request.url ?? '/';
  const mark = url.indexOf('?');
  return mark < 0 ? '' : url.slice(mark + 1);
}

function addressOf(server: Server): AdminServer['address'] {
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the admin server has no address');
  return { host: address.address, port: address.port };
}

async function close(server: Server): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  server.close(() => resolve());
  server.closeAllConnections();
  await promise;
}
