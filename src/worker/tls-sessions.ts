/**
 * Sessions of TLS 1.2 by their ids, for clients that take no tickets (RFC 5246, 7.3): each worker has those of all. On
 * while a policy has a rule with `tlsSession`, because Node then reads every ClientHello itself and tells of every ticket.
 */
import type { Server } from 'node:tls';
import { BroadcastChannel } from 'node:worker_threads';
import { isTls12 } from '../lanes/openssl-session.ts';
import type { PolicyId } from '../model/policy.ts';
import type { TableDelta } from '../shared/messages.ts';

/** Of some 200 bytes each; OpenSSL refuses those that are too old by itself. */
const MAX_SESSIONS = 10_000;

interface Session {
  readonly id: string;
  readonly data: Uint8Array;
}

export class TlsSessions {
  readonly #channel: string;
  /** Policies that ask for TLS sessions. */
  readonly #askers = new Set<PolicyId>();
  /** The oldest first. */
  readonly #known = new Map<string, Buffer>();
  /** Open while it is on. */
  #others: BroadcastChannel | undefined;

  /** @param channel the same for all workers of the process, and for them alone */
  constructor(channel: string) {
    this.#channel = channel;
  }

  /** True = it is on now and was off, or the reverse: servers made so far are of no use. */
  apply({ policies, removedPolicies }: TableDelta): boolean {
    for (const { id, rules } of policies) {
      if (rules.some(({ key }) => key?.kind === 'tlsSession')) this.#askers.add(id);
      else this.#askers.delete(id);
    }
    for (const id of removedPolicies) this.#askers.delete(id);
    const wasOn = this.#others !== undefined;
    const isOn = this.#askers.size > 0;
    if (isOn && !wasOn) this.#begin();
    else if (wasOn && !isOn) this.#end();
    return isOn !== wasOn;
  }

  /** To be called with a new server. */
  serve(server: Server): void {
    if (this.#others === undefined) return;
    server.on('newSession', this.#onNew);
    server.on('resumeSession', this.#onResume);
  }

  #begin(): void {
    const others = new BroadcastChannel(this.#channel);
    others.unref();
    others.onmessage = (event: unknown) => {
      const { id, data } = (event as { readonly data: Session }).data;
      this.#keep(id, data);
    };
    this.#others = others;
  }

  #end(): void {
    this.#others?.close();
    this.#others = undefined;
    this.#known.clear();
  }

  /** The other workers have it on their desks before the client has the end of its handshake. */
  readonly #onNew = (sessionId: Buffer, data: Buffer, done: () => void): void => {
    // Those of TLS 1.3 are tickets, and hold all there is to know.
    if (isTls12(data)) {
      const id = sessionId.toString('latin1');
      this.#keep(id, data);
      this.#others?.postMessage({ id, data } satisfies Session);
    }
    done();
  };

  readonly #onResume = (sessionId: Buffer, done: (error: Error | null, session: Buffer | null) => void): void => {
    done(null, this.#known.get(sessionId.toString('latin1')) ?? null);
  };

  #keep(id: string, data: Uint8Array): void {
    this.#known.set(id, Buffer.from(data));
    if (this.#known.size <= MAX_SESSIONS) return;
    for (const oldest of this.#known.keys()) {
      this.#known.delete(oldest);
      return;
    }
  }
}
