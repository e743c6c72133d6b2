/**
 * The raw HTTP/1.1 lane of a worker without its sockets: bytes of a client go in, those of its endpoint come back, and
 * all in between is what runs in production, from the parser to the counters. So one exchange is one synchronous call.
 */
import { EventEmitter } from 'node:events';
import type { Socket } from 'node:net';
import { parseAllDocuments } from 'yaml';
import { project } from '../../src/api/project.ts';
import { DEFAULT_LIMITS } from '../../src/http1/limits.ts';
import { Outbox } from '../../src/io/outbox.ts';
import type { Turn } from '../../src/io/turn.ts';
import { ClientConnection } from '../../src/lanes/http1/client.ts';
import { RequestClient } from '../../src/lanes/http1/request-client.ts';
import { Spares } from '../../src/lanes/spares.ts';
import type { UpstreamConnection, UpstreamHandler } from '../../src/upstream/connection.ts';
import type { Upstreams } from '../../src/upstream/upstreams.ts';
import { WorkerContext } from '../../src/worker/context.ts';
import { ControlPlane } from './control-plane.ts';

export class HotPath {
  /** What the endpoint was sent and the client got in the last exchange, latin1. */
  readonly sent = { endpoint: '', client: '' };
  readonly #read: (length: number, buffer: Buffer) => boolean;
  readonly #ctx: WorkerContext;
  #handler: UpstreamHandler | undefined;

  /** @param manifests YAML documents */
  constructor(manifests: string) {
    this.#ctx = contextOf(manifests);
    const out = new Outbox(
      peer((text) => (this.sent.endpoint = text)),
      this.#ctx.blocks,
    );
    const connection = { connected: true, reused: true, out, socket: out, destroy: () => undefined };
    // What waits for others in production is written at once: an exchange is one synchronous call.
    const writes: Pick<Turn, 'add'> = { add: (outbox) => outbox.flush() };
    const upstreams: Pick<Upstreams, 'acquire' | 'release'> & { writes: typeof writes } = {
      writes,
      acquire: (_, handler) => {
        this.#handler = handler;
        return connection as unknown as UpstreamConnection;
      },
      release: () => undefined,
    };
    Object.defineProperties(this.#ctx, { upstreams: { value: upstreams }, writes: { value: writes } });
    let read: ((length: number, buffer: Buffer) => boolean) | undefined;
    new ClientConnection(
      {
        ctx: this.#ctx,
        takeReads: (_, handler) => {
          read = handler;
          return () => undefined;
        },
        requests: new Spares(() => new RequestClient(this.#ctx, DEFAULT_LIMITS)),
        upgrade: () => undefined,
        connections: new Set(),
        scheme: 'http',
      },
      peer((text) => (this.sent.client = text)),
    );
    if (read === undefined) throw new Error('the lane did not take what its socket reads');
    this.#read = read;
  }

  /** One request and its answer. */
  exchange(request: Buffer, response: Buffer): void {
    this.#read(request.length, request);
    this.#handler?.onUpstreamData(response, response.length);
  }
}

/** A socket that takes everything at once. */
function peer(written: (text: string) => void): Socket {
  const socket = Object.assign(new EventEmitter(), {
    remoteAddress: '192.0.2.7',
    destroyed: false,
    writableNeedDrain: false,
    write: (text: string) => {
      written(text);
      return true;
    },
    resume: () => undefined,
    pause: () => undefined,
    end: () => undefined,
    destroy: () => undefined,
  });
  return socket as unknown as Socket;
}

/** A worker's context with everything of the manifests live. */
function contextOf(manifests: string): WorkerContext {
  const control = new ControlPlane();
  for (const document of parseAllDocuments(manifests)) {
    const { resource, problems } = project(document.toJS()) ?? {};
    if (resource === undefined) throw new Error(JSON.stringify(problems));
    control.put(resource);
  }
  control.synced();
  return new WorkerContext(control.workerStart(), control.everything(), () => undefined);
}
