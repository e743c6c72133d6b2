/** Talks to the tests' cluster: kubectl and helm as a user runs them, and the API itself where they are too slow or too kind. */
import { execFile } from 'node:child_process';
import { Agent, request as httpsRequest, type RequestOptions } from 'node:https';
import type { IncomingMessage } from 'node:http';
import { join } from 'node:path';
import { KubeConfig } from '@kubernetes/client-node';

export const ROOT = join(import.meta.dirname, '../../..');
export const CHART = join(ROOT, 'charts/holdfast');

export interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export async function run(program: string, args: readonly string[], input = ''): Promise<Ran> {
  const { promise, resolve } = Promise.withResolvers<Ran>();
  const options = { cwd: ROOT, maxBuffer: 64 * 1024 * 1024 };
  const child = execFile(program, args, options, (error, stdout, stderr) => {
    resolve({ code: error === null ? 0 : typeof error.code === 'number' ? error.code : 1, stdout, stderr });
  });
  child.stdin?.end(input);
  return await promise;
}

async function succeed(program: string, args: readonly string[], input?: string): Promise<string> {
  const { code, stdout, stderr } = await run(program, args, input);
  if (code !== 0) throw new Error(`${program} ${args.join(' ')}: ${stderr}${stdout}`);
  return stdout;
}

/** @throws Error with what kubectl said */
export async function kubectl(args: readonly string[], input?: string): Promise<string> {
  return await succeed('kubectl', args, input);
}

/** @throws Error with what helm said */
export async function helm(args: readonly string[]): Promise<string> {
  return await succeed('helm', args);
}

/** Waits until the API server serves what CRDs define. @throws Error with what kubectl said */
export async function established(...crds: readonly string[]): Promise<void> {
  // Of one that has no conditions yet `kubectl wait` does not wait, but fails.
  await eventually(() => kubectl(['wait', '--for=condition=Established', ...crds.map((crd) => `crd/${crd}`)]));
}

export async function apply(yaml: string): Promise<void> {
  await kubectl(['apply', '--server-side', '-f', '-'], yaml);
}

export async function namespace(name: string): Promise<void> {
  await apply(`{apiVersion: v1, kind: Namespace, metadata: {name: ${name}}}`);
}

/** An object as JSON; the caller says which parts of it there are. */
export async function get<T>(...args: readonly string[]): Promise<T> {
  return JSON.parse(await kubectl(['get', ...args, '-o', 'json'])) as T;
}

/** How `KUBECONFIG` gets to the API server, over connections that are kept. */
async function reach(): Promise<{ server: string; options: RequestOptions }> {
  const config = new KubeConfig();
  config.loadFromDefault();
  const server = config.getCurrentCluster()?.server;
  if (server === undefined) throw new Error('KUBECONFIG names no cluster: run these tests with `npm run test:e2e`');
  const options: RequestOptions = {};
  await config.applyToHTTPSOptions(options);
  const { ca, cert, key } = options;
  return { server, options: { ...options, agent: new Agent({ keepAlive: true, ca, cert, key }) } };
}

const { server: SERVER, options: ACCESS } = await reach();

async function open(method: string, path: string, body?: unknown): Promise<IncomingMessage> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const type = method === 'PATCH' ? 'application/strategic-merge-patch+json' : 'application/json';
  const headers = { ...ACCESS.headers, 'content-type': type };
  const request = httpsRequest(`${SERVER}${path}`, { ...ACCESS, method, headers }, resolve);
  request.on('error', reject);
  request.end(body === undefined ? undefined : JSON.stringify(body));
  return await promise;
}

export async function api(method: string, path: string, body?: unknown): Promise<{ status: number; text: string }> {
  const response = await open(method, path, body);
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  return { status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString() };
}

export interface WatchEvent<T> {
  readonly type: string;
  readonly object: T;
}

/** Every object that is there and each change from then on, until it is closed. */
export async function watch<T>(path: string, onEvent: (event: WatchEvent<T>) => void): Promise<() => void> {
  const stream = await open('GET', `${path}${path.includes('?') ? '&' : '?'}watch=1`);
  if (stream.statusCode !== 200) throw new Error(`watch of ${path}: ${String(stream.statusCode)}`);
  let rest = '';
  stream.setEncoding('utf8');
  stream.on('data', (text: string) => {
    const lines = (rest + text).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) onEvent(JSON.parse(line) as WatchEvent<T>);
  });
  // Closing it from here is an error to it.
  stream.on('error', () => undefined);
  return () => {
    stream.destroy();
  };
}

/** Asks again until the answer is there; what failed last is what the test fails with. */
export async function eventually<T>(attempt: () => Promise<T> | T, ms = 30_000): Promise<T> {
  const deadline = Date.now() + ms;
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      if (Date.now() > deadline) throw error;
      await pause(50);
    }
  }
}

/** Between questions to the cluster, and between the requests of a client: pace, not synchronisation. */
export async function pause(ms: number): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  setTimeout(resolve, ms);
  await promise;
}
