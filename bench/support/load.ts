/** Load on one proxy: by wrk, h2load, `openssl s_time`, or one of our own programs; and what it cost the proxy. */
import { join } from 'node:path';
import { Child } from './child.ts';
import type { Sample } from './figures.ts';
import type { Lab } from './lab.ts';
import type { Peer } from './peers/peer.ts';

const PROGRAMS = join(import.meta.dirname, '../programs');
const WRK_SCRIPT = join(import.meta.dirname, 'wrk.lua');
/** A response may take this long before wrk counts it as failed: many large ones share the line. */
const WRK_TIMEOUT = '30s';
/** Clients of `openssl s_time` at a time: each makes one connection after the other. */
const HANDSHAKERS = 8;

export interface Done {
  readonly requests: number;
  readonly seconds: number;
}

export interface Transferred extends Done {
  /** That came back. */
  readonly bytes: number;
}

export interface WrkOptions {
  readonly connections: number;
  readonly path?: string;
  readonly tls?: boolean;
  /** A new connection for every request. */
  readonly close?: boolean;
  readonly body?: { readonly kind: 'post' | 'chunked'; readonly bytes: number };
}

export interface H2loadOptions {
  readonly connections: number;
  /** Requests at a time on each. */
  readonly streams: number;
  readonly path?: string;
  /** The file with the message of a gRPC call; undefined = GET. */
  readonly call?: string;
}

/** CPU seconds that the proxy used while `load` ran. */
export async function withCost<T>({ child }: Peer, load: () => Promise<T>): Promise<{ result: T; cpu: number }> {
  const before = child.cpuSeconds();
  const result = await load();
  return { result, cpu: child.cpuSeconds() - before };
}

/** Requests for a CPU second of the proxy. @throws when not all of them were work that is meant: with a session, kept */
export async function requestsOf(peer: Peer, load: () => Promise<Done>): Promise<Omit<Sample, 'peer'>> {
  // NaN where it does not count them.
  const keptRequests = async () => (await peer.kept?.()) ?? NaN;
  const before = await keptRequests();
  const { result, cpu } = await withCost(peer, load);
  const { requests, seconds } = result;
  const kept = (await keptRequests()) - before;
  if (kept < requests) throw new Error(`${peer.name}: only ${kept} of ${requests} requests kept their session`);
  return { figure: requests / cpu, more: { 'CPU µs each': (cpu / requests) * 1e6, 'per second': requests / seconds } };
}

/** Megabytes for a CPU second of the proxy. `bytes` of what was done; default: those that came back. */
export async function bytesOf(
  peer: Peer,
  load: () => Promise<Transferred>,
  bytes = (done: Transferred) => done.bytes,
): Promise<Omit<Sample, 'peer'>> {
  const { result, cpu } = await withCost(peer, load);
  const megabytes = bytes(result) / 1e6;
  return { figure: megabytes / cpu, more: { 'MB/s': megabytes / result.seconds } };
}

/** Closed loop: every connection sends its next request when it has the answer. @throws when a request failed */
export async function wrk(lab: Lab, peer: Peer, options: WrkOptions): Promise<Transferred> {
  const { connections, path = '/', tls = false, close = false, body } = options;
  const url = tls ? `https://127.0.0.1:${peer.securePort}` : `http://127.0.0.1:${peer.port}`;
  const output = await new Child('wrk', lab.loadCores, 'wrk', [
    ...['-t', '1', '-c', String(connections), '-d', `${lab.seconds}s`, '--timeout', WRK_TIMEOUT, '-s', WRK_SCRIPT],
    ...['-H', `Cookie: ${peer.cookie}`, ...(close ? ['-H', 'Connection: close'] : [])],
    ...[`${url}${path}`, ...(body === undefined ? [] : ['--', body.kind, String(body.bytes)])],
  ]).finished();
  const { failed, ...done } = JSON.parse(lastLine(output)) as Transferred & { readonly failed: number };
  if (failed > 0 || done.requests === 0) throw new Error(`${peer.name} did not serve all requests:\n${output}`);
  return done;
}

/** HTTP/2 over TLS, closed loop. @throws when a request failed */
export async function h2load(lab: Lab, peer: Peer, options: H2loadOptions): Promise<Transferred> {
  const { connections, streams, path = '/', call } = options;
  const calling = ['-H', 'content-type: application/grpc', '-H', 'te: trailers'];
  const output = await new Child('h2load', lab.loadCores, 'h2load', [
    ...['-t', '1', '-c', String(connections), '-m', String(streams), '-D', String(lab.seconds)],
    ...['-H', `cookie: ${peer.cookie}`, ...(call === undefined ? [] : ['-d', call, ...calling])],
    `https://127.0.0.1:${peer.securePort}${path}`,
  ]).finished();
  const counted = /(\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout/.exec(output)?.slice(1).map(Number);
  const [requests = 0, ...others] = counted ?? [];
  if (requests === 0 || others.some((count) => count > 0)) {
    throw new Error(`${peer.name} did not serve all requests:\n${output}`);
  }
  const bytes = Number(/\((\d+)\) data$/m.exec(output)?.[1]);
  return { requests, bytes, seconds: lab.seconds };
}

/** TLS connections one after the other, each with one request; `resumed`: by the session of the one before. */
export async function handshakes(lab: Lab, peer: Peer, resumed: boolean): Promise<Done> {
  // s_time writes `GET PATH HTTP/1.0`: the rest of the path is what a client with a session says besides.
  const path = `/ HTTP/1.1\r\nHost: bench.test\r\nConnection: close\r\nCookie: ${peer.cookie}\r\nX-Rest:`;
  const begin = performance.now();
  const clients = Array.from({ length: HANDSHAKERS }, () =>
    new Child('openssl', lab.loadCores, 'openssl', [
      ...['s_time', '-connect', `127.0.0.1:${peer.securePort}`, '-www', path],
      ...['-time', String(lab.seconds), resumed ? '-reuse' : '-new'],
    ]).finished(),
  );
  let requests = 0;
  const outputs = await Promise.all(clients);
  const seconds = (performance.now() - begin) / 1000;
  for (const output of outputs) {
    // One letter a connection: `r` was resumed, `t` and `*` were not.
    if (!(resumed ? /^r+$/m : /^[t*]+$/m).test(output)) throw new Error(`${peer.name} resumes otherwise:\n${output}`);
    requests += Number(/^(\d+) connections in \d+ real seconds/m.exec(output)?.[1] ?? 0);
  }
  return { requests, seconds };
}

/** Runs one of `bench/programs` on the load's cores; it gives its figures as the last line that it writes, in JSON. */
export async function program<T>(lab: Lab, name: string, options: object): Promise<T> {
  return JSON.parse(lastLine(await startProgram(name, lab.loadCores, options).finished())) as T;
}

export function startProgram(name: string, cores: string, options: object): Child {
  return new Child(name, cores, process.execPath, [join(PROGRAMS, `${name}.ts`), JSON.stringify(options)]);
}

function lastLine(output: string): string {
  return output.trimEnd().split('\n').at(-1) ?? '';
}
