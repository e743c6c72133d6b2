/** The admin server: health, readiness, metrics and the JSON API on their own address. */
import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Logger } from '../telemetry/logger.ts';
import { errorAnswer } from './answer.ts';
import type { Answer } from './answer.ts';
import { ENDPOINTS, WRITES } from './answers.ts';
import { isLocalHost, isLoopback } from './host-check.ts';
import { limitPerPeer } from './peers.ts';
import type { AdminOptions, AdminServer } from './types.ts';

/** Of a body, bytes. */
const MAX_BODY = 65_536;
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
  const written = await answer(options, request);
  // Whatever else comes is of no use here.
  request.resume();
  write(request, response, written, request.method === 'HEAD');
}

async function answer(options: AdminOptions, request: IncomingMessage): Promise<Answer> {
  const path = pathOf(request);
  // A pod's preStop hook asks for its drain by whatever name the Service has.
  if (path.startsWith('/api/') && path !== '/api/v1/drain') {
    const ours = [options.address.host, request.socket.localAddress ?? ''];
    if (!isLocalHost(request.headers.host, ours)) {
      return errorAnswer(403, 'the Host header is not a local one: use localhost or the address itself');
    }
  }
  const post = request.method === 'POST';
  const reads = ENDPOINTS.get(path);
  const writes = WRITES.get(path);
  if (reads === undefined && writes === undefined)
    return errorAnswer(
      404,
      `no such path; there are ${[...new Set([...ENDPOINTS.keys(), ...WRITES.keys()])].join(', ')}`,
    );
  const endpoint = post ? writes : request.method === 'GET' || request.method === 'HEAD' ? reads : undefined;
  if (endpoint === undefined) return errorAnswer(405, `use ${methodsOf(path)}`);
  // A form of a foreign page cannot send this type without asking first.
  if (post && !/^application\/json(;|$)/i.test(request.headers['content-type'] ?? ''))
    return errorAnswer(415, 'send JSON, with Content-Type: application/json');
  const body = post ? await readBody(request) : undefined;
  if (post && body === undefined) return errorAnswer(413, `the body is longer than ${MAX_BODY} bytes`);
  return endpoint(options, new URLSearchParams(queryOf(request)), {
    target: request.url ?? '/',
    body,
    authorization: request.headers.authorization,
    loopback: isLoopback(request.socket.remoteAddress ?? ''),
  });
}

function methodsOf(path: string): string {
  return [...(ENDPOINTS.has(path) ? ['GET', 'HEAD'] : []), ...(WRITES.has(path) ? ['POST'] : [])].join(', ');
}

/** undefined = it is too long, or the client has gone. */
async function readBody(request: IncomingMessage): Promise<string | undefined> {
  const { promise, resolve } = Promise.withResolvers<string | undefined>();
  const chunks: Buffer[] = [];
  let bytes = 0;
  request.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes <= MAX_BODY) chunks.push(chunk);
    else resolve(undefined);
  });
  request.on('end', () => resolve(Buffer.concat(chunks).toString()));
  request.on('error', () => resolve(undefined));
  request.on('close', () => resolve(undefined));
  return await promise;
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
    ...(status === 405 ? { allow: methodsOf(pathOf(request)) } : {}),
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
