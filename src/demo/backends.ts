/** Sample backends: one HTTP server for each endpoint that the demo's EndpointSlices name, standing in for a pod. */
import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { isIPv4 } from 'node:net';
import type { Duplex } from 'node:stream';
import type { EndpointSlice } from '../model/resources.ts';
import { echoWebSocket } from './websocket.ts';

/** The pod that a sample backend plays. */
export interface SamplePod {
  readonly namespace: string;
  readonly service: string;
  readonly pod: string;
  readonly host: string;
  readonly port: number;
}

export interface SampleBackend {
  readonly sample: SamplePod;
  /** Requests answered so far, those for `/requests` excepted; upgrades count. */
  requests(): number;
  close(): Promise<void>;
}

/** What the slices ask for: endpoints on loopback addresses with a port, each address and port once. */
export function samplePods(slices: Iterable<EndpointSlice>): SamplePod[] {
  const pods = new Map<string, SamplePod>();
  for (const slice of slices) {
    for (const endpoint of slice.endpoints) {
      const host = endpoint.address;
      for (const { port } of slice.ports) {
        if (port === undefined || !isLoopback(host) || slice.service === '') continue;
        const pod = endpoint.targetRef?.name ?? `${host}:${port}`;
        pods.set(`${host} ${port}`, { namespace: slice.meta.namespace, service: slice.service, pod, host, port });
      }
    }
  }
  return [...pods.values()];
}

/** Rejects with the listener's error, such as `EADDRINUSE`. Port 0 takes any free port: `sample.port` is the real one. */
export async function startSampleBackend(pod: SamplePod): Promise<SampleBackend> {
  let requests = 0;
  const server = createServer({ keepAliveTimeout: 60_000 }, (request, response) => {
    if (pathOf(request) === '/requests') {
      sendJson(response, { requests });
      request.resume();
      return;
    }
    requests++;
    describe(pod, request, response);
  });
  const upgraded = new Set<Duplex>();
  server.on('upgrade', (request, socket, head) => {
    requests++;
    upgraded.add(socket);
    socket.once('close', () => upgraded.delete(socket));
    echoWebSocket(request, socket, head, [`X-Pod: ${pod.pod}`]);
  });
  const port = await listen(server, pod.host, pod.port);
  return { sample: { ...pod, port }, requests: () => requests, close: () => close(server, upgraded) };
}

function describe(pod: SamplePod, request: IncomingMessage, response: ServerResponse): void {
  let bodyBytes = 0;
  request.on('data', (chunk: Buffer) => (bodyBytes += chunk.length));
  request.on('end', () => {
    const { namespace, service } = pod;
    const { method, headers } = request;
    sendJson(response, {
      pod: pod.pod,
      namespace,
      service,
      method,
      path: request.url,
      host: headers.host,
      headers,
      bodyBytes,
    });
  });
  // The client went away within its body: there is nobody to answer.
  request.on('error', () => response.destroy());
}

function sendJson(response: ServerResponse, value: unknown): void {
  const body = Buffer.from(JSON.stringify(value) + '\n');
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': body.length });
  response.end(body);
}

function pathOf(request: IncomingMessage): string | undefined {
  return request.url?.split('?', 1)[0];
}

function isLoopback(host: string): boolean {
  return host === '::1' || (isIPv4(host) && host.startsWith('127.'));
}

async function listen(server: Server, host: string, port: number): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once('error', reject);
  server.listen({ host, port }, resolve);
  await promise;
  server.off('error', reject);
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : port;
}

async function close(server: Server, upgraded: ReadonlySet<Duplex>): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  server.close(() => resolve());
  server.closeAllConnections();
  // Upgraded sockets are no longer among the server's connections.
  for (const socket of upgraded) socket.destroy();
  await promise;
}
