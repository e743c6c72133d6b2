/** TLS towards endpoints: one context for all connections with the same settings, and what went wrong with them, told once. */
import { checkServerIdentity, connect, createSecureContext } from 'node:tls';
import type { ConnectionOptions, SecureContext, TLSSocket } from 'node:tls';
import { connect as connectTcp } from 'node:net';
import { WRITE_HIGH_WATER } from '../io/high-water.ts';
import { hostPort } from '../model/pool.ts';
import type { UpstreamTls } from '../model/transport.ts';
import type { UpstreamEndpoint } from './endpoint-pools.ts';

/** What routes use that ask for nothing but TLS. */
export const UNVERIFIED: UpstreamTls = {
  id: '',
  authorities: undefined,
  pair: undefined,
  name: undefined,
  sendsName: false,
};

/** Different faults that are told: their texts may hold what certificates of endpoints say. */
const MAX_TOLD = 100;

export class TlsProfile {
  readonly #settings: UpstreamTls;
  readonly #onFault: (message: string) => void;
  readonly #told = new Set<string>();
  /** Made by the first connection. */
  #context: SecureContext | undefined;

  /** `onFault`: with a message for the operator. */
  constructor(settings: UpstreamTls, onFault: (message: string) => void) {
    this.#settings = settings;
    this.#onFault = onFault;
  }

  /** Emits `secureConnect` when the endpoint's certificate is what the settings ask for. */
  dial(endpoint: UpstreamEndpoint, protocol: 'http/1.1' | 'h2'): TLSSocket {
    const { authorities, name = serviceName(endpoint), sendsName } = this.#settings;
    const options: ConnectionOptions & { highWaterMark: number } = {
      secureContext: this.#contextOf(),
      rejectUnauthorized: authorities !== undefined,
      checkServerIdentity: (_, certificate) => checkServerIdentity(name, certificate),
      ALPNProtocols: [protocol],
      highWaterMark: WRITE_HIGH_WATER,
      ...(sendsName ? { servername: name } : {}),
      ...(endpoint.session === undefined ? {} : { session: endpoint.session }),
    };
    const socket = endpoint.preface === '' ? direct(endpoint, options) : prefaced(endpoint, options);
    socket.on('session', (session) => {
      endpoint.session = session;
    });
    return socket;
  }

  /** The endpoint is there, but no connection over TLS; undefined = it closed without a word. */
  failed(endpoint: UpstreamEndpoint, error: Error | undefined): void {
    const said = error !== undefined && 'reason' in error ? String(error.reason) : error?.message;
    this.#tell(said ?? 'it closed the connection during the handshake', endpoint);
  }

  #tell(fault: string, endpoint: UpstreamEndpoint): void {
    const whose = serviceName(endpoint);
    const told = `${whose} ${fault}`;
    if (this.#told.has(told) || this.#told.size === MAX_TOLD) return;
    this.#told.add(told);
    this.#onFault(`TLS to endpoint ${hostPort(endpoint.address, endpoint.port)} of ${whose} failed: ${fault}`);
  }

  #contextOf(): SecureContext {
    if (this.#context !== undefined) return this.#context;
    // Without authorities none are loaded: nothing is verified, and the system's would take milliseconds.
    const { authorities = [], pair } = this.#settings;
    const base = { ca: authorities, minVersion: 'TLSv1.2' } as const;
    try {
      this.#context = createSecureContext({ ...base, ...(pair && { cert: pair.chain, key: pair.key }) });
    } catch (error) {
      this.#onFault(`OpenSSL refuses what TLS to endpoints shall use (${this.#settings.id}): ${String(error)}`);
      // Who trusts nobody connects to nobody that must be verified.
      this.#context = createSecureContext({ ca: [] });
    }
    return this.#context;
  }
}

/** What every pod of the cluster can resolve. */
function serviceName({ service: { name, namespace } }: UpstreamEndpoint): string {
  return `${name}.${namespace}.svc`;
}

function direct({ address, port }: UpstreamEndpoint, options: ConnectionOptions): TLSSocket {
  const socket = connect({ ...options, host: address, port });
  socket.setNoDelay(true);
  return socket;
}

/** The preface goes before the handshake, in plain text: so on a socket of its own. */
function prefaced({ address, port, preface }: UpstreamEndpoint, options: ConnectionOptions): TLSSocket {
  const tcp = connectTcp({ host: address, port, noDelay: true });
  tcp.write(preface, 'latin1');
  const socket = connect({ ...options, socket: tcp });
  tcp.on('error', (error) => socket.destroy(error));
  return socket;
}
