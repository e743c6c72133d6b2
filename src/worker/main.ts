/** Entry of a worker thread: builds its context with the first table, listens, swaps tables, shuts down. */
import type { Socket } from 'node:net';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { parentPort, workerData } from 'node:worker_threads';
import { readBuffer } from '../http1/scan.ts';
import { poisoned, readsInto } from '../io/take-reads.ts';
import { provesDirectIo } from '../io/trial.ts';
import { ClientConnection } from '../lanes/http1/client.ts';
import type { Http1Lane } from '../lanes/http1/client.ts';
import { RequestClient } from '../lanes/http1/request-client.ts';
import { Http2Connection } from '../lanes/http2/connection.ts';
import { Http2Lane } from '../lanes/http2/lane.ts';
import { Spares } from '../lanes/spares.ts';
import { UpgradeLane } from '../lanes/upgrade/lane.ts';
import type { Ends } from '../model/ends.ts';
import { collectGarbage } from '../shared/v8.ts';
import type { FromWorker, Ports, TableDelta, ToWorker, WorkerStart } from '../shared/messages.ts';
import { Certificates } from './certificates.ts';
import { POISON_READS, WorkerContext } from './context.ts';
import { FirstReads } from './first-reads.ts';
import { Listener } from './listener.ts';
import { readVersion } from './prior-knowledge.ts';
import { ProxyHeaders } from './proxy-headers.ts';
import { shedIfOverloaded } from './shedder.ts';
import { TlsTermination } from './tls.ts';

const WATCH_EVERY_MS = 1000;
/** While shutting down, how often it is looked whether everything has ended. */
const DRAIN_POLL_MS = 50;
/** A connection without a request yet counts as idle after this. */
const FRESH_MS = 1000;
const LAST_TURNS = 20;

if (parentPort === null) throw new Error('worker/main is started as a worker thread');
const port = parentPort;
const start = workerData as WorkerStart;

let ctx: WorkerContext | undefined;
const certificates = new Certificates({
  ...start.tls,
  onRefused: (message) => send({ type: 'log', level: 'error', message }),
});

const readsOfClients = readsInto(readBuffer(), true);
const takeReads = POISON_READS ? poisoned(readsOfClients) : readsOfClients;

let lane: Http1Lane | undefined;
/** The same over TLS, with the same connections. */
let secureLane: Http1Lane | undefined;
let http2Lane: Http2Lane | undefined;
let upgrades: UpgradeLane | undefined;
let tls: TlsTermination | undefined;
let reads: FirstReads | undefined;
let listeners: readonly Listener[] = [];

function send(message: FromWorker): void {
  port.postMessage(message);
}

function applyTable(delta: TableDelta): void {
  if (ctx === undefined) {
    ctx = new WorkerContext(start, delta, send);
    ctx.deadlines.start();
    tls = new TlsTermination(ctx, takeReads, certificates, start.tls.sessionChannel, (socket, secured, ends) => {
      if (socket.alpnProtocol === 'h2' && http2Lane !== undefined)
        new Http2Connection(http2Lane, socket, ends, secured);
      else if (secureLane !== undefined) new ClientConnection(secureLane, socket, ends, secured);
    });
    watch(ctx);
    // The message that everything came in is garbage in the next turn, and no request waits yet.
    setImmediate(collectGarbage);
  } else ctx.apply(delta);
  tls?.apply(delta);
  send({ type: 'applied', version: delta.version });
}

async function listen(wanted: Ports): Promise<void> {
  if (ctx === undefined) throw new Error('listen before the first table');
  const context = ctx;
  const { settings } = context;
  const limits = { head: settings.maxHeadBytes, headers: settings.maxHeaders, target: settings.maxTargetBytes };
  // Those who come first shall find their keys, too.
  await context.store?.start();
  if (!(await provesDirectIo())) {
    const message = 'this Node has no fast way to read and write sockets; using ordinary streams';
    send({ type: 'log', level: 'warn', message });
  }
  const upgradeLane = new UpgradeLane(context, limits);
  upgrades = upgradeLane;
  lane = {
    ctx: context,
    takeReads,
    scheme: 'http',
    requests: new Spares(() => new RequestClient(context, limits)),
    connections: new Set(),
    upgrade: (request) => {
      upgradeLane.take(request);
    },
  };
  secureLane = { ...lane, scheme: 'https' };
  http2Lane = new Http2Lane({
    ...secureLane,
    limits,
    sameCertificate: (sni, host) => certificates.same(sni, host),
  });
  const plainHttp2 = new Http2Lane({ ...lane, limits, sameCertificate: () => true });
  const first = (reads = new FirstReads(context, takeReads));
  const proxied = new ProxyHeaders(context, first);
  const [http, https] = [lane, tls];
  const takePlain = (accepted: Socket, ends: Ends | undefined): void => {
    if (!settings.h2c) return void new ClientConnection(http, accepted, ends);
    readVersion(first, accepted, (version) => {
      if (version === 2) new Http2Connection(plainHttp2, accepted, ends);
      else new ClientConnection(http, accepted, ends);
    });
  };
  try {
    // Where something comes before HTTP/1 the bytes behind it have to be put back.
    const direct = !settings.h2c && !settings.proxyProtocol;
    const plainListener = new Listener(
      context,
      (accepted) => proxied.read(accepted, (ends) => takePlain(accepted, ends)),
      direct ? (accepted) => void new ClientConnection(http, accepted) : undefined,
    );
    listeners = [plainListener];
    const address = await plainListener.listen(settings.bindAddress, wanted.http);
    context.publicPorts.http = settings.publicHttpPort || address.port;
    let httpsPort: number | undefined;
    if (wanted.https !== undefined && https !== undefined) {
      const secured = new Listener(context, (accepted) => proxied.read(accepted, (ends) => https.take(accepted, ends)));
      listeners = [plainListener, secured];
      httpsPort = (await secured.listen(settings.bindAddress, wanted.https)).port;
      context.publicPorts.https = settings.publicHttpsPort || httpsPort;
    }
    send({ type: 'listening', host: address.host, ports: { http: address.port, https: httpsPort } });
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    send({ type: 'listenFailed', code: code ?? '', message });
  }
}

/** Connections that no lane has yet. */
function opening(): number {
  return (reads?.pending ?? 0) + (tls?.pending ?? 0);
}

function closeOpening(): void {
  reads?.close();
  tls?.close();
}

/** Listeners close, idle connections go, the others end with their answers; what is left after `grace` ms is closed. */
async function shutdown(grace: number): Promise<void> {
  const until = Date.now() + grace;
  await Promise.all(listeners.map((listener) => listener.close()));
  if (ctx !== undefined) {
    ctx.draining = true;
    ctx.waiting.wakeAll();
  }
  const open = lane?.connections ?? new Set();
  const fresh = Date.now() + FRESH_MS;
  while (open.size + opening() > 0 && Date.now() < until) {
    if (Date.now() > fresh) closeOpening();
    // One that has just been accepted may have a request on its way.
    for (const connection of open)
      if (connection.idle && (connection.requests > 0 || Date.now() > fresh)) connection.close();
    await new Promise((resolve) => setTimeout(resolve, DRAIN_POLL_MS));
  }
  closeOpening();
  upgrades?.closeAll();
  // A WebSocket in the middle of a frame ends behind it.
  for (let turn = 0; turn < LAST_TURNS && open.size > 0; turn++)
    await new Promise((resolve) => setTimeout(resolve, DRAIN_POLL_MS));
  for (const connection of open) connection.destroy();
  ctx?.accessBuffer.flush();
  ctx?.upstreams.closeIdle();
  ctx?.store?.stop();
  ctx?.deadlines.stop();
  send({ type: 'drained' });
  port.close();
  process.exit();
}

function watch(context: WorkerContext): void {
  const histogram = monitorEventLoopDelay({ resolution: 20 });
  histogram.enable();
  setInterval(() => {
    context.counters.eventLoopLag(Math.max(0, histogram.max / 1e9 - 0.02));
    histogram.reset();
    if (lane !== undefined) shedIfOverloaded(context.counters, start.workers, lane.connections);
  }, WATCH_EVERY_MS).unref();
}

/** A bug: the main thread replaces this worker. */
function crash(error: unknown): void {
  setImmediate(() => {
    throw error;
  });
}

port.on('message', (message: ToWorker) => {
  switch (message.type) {
    case 'table':
      applyTable(message.delta);
      break;
    case 'listen':
      listen(message.ports).catch(crash);
      break;
    case 'ticketKeys':
      tls?.setTicketKeys(message.ticketKeys);
      break;
    case 'shutdown':
      shutdown(message.grace).catch(crash);
      break;
  }
});
