/** Questions to all replicas of the controller, itself among them, by the admin ports that their headless Service lists. */
import { Agent, request } from 'node:http';
import type { Caller } from '../admin/types.ts';
import type { SessionKey } from '../affinity/keyring.ts';
import type { ObjectName } from '../config/config.ts';
import type { EndpointSlice } from '../model/resources.ts';
import { Fresh } from './fresh.ts';
import { isProof, proofFor } from './replica-proof.ts';
import type { ReplicaQuestion } from './replica-proof.ts';
import { addressesIn } from './replica-slices.ts';
import type { ReplicaAddress } from './replica-slices.ts';

export interface ReplicaCallsOptions {
  /** undefined = this process is the only one. */
  readonly service: ObjectName | undefined;
  readonly slices: () => Promise<Iterable<EndpointSlice>>;
  readonly keys: () => readonly SessionKey[];
  readonly clock: () => number;
}

export interface ReplicaAnswers {
  readonly asked: number;
  /** JSON, of those that answered. */
  readonly answers: readonly unknown[];
}

const ANSWER_MS = 2000;
const MAX_ANSWER = 4 * 1024 * 1024;
const SAME_SLICES_MS = 1000;
/** Questions at a time to one replica, which takes only so many connections of one peer. */
const AT_ONCE = 8;

export class ReplicaCalls {
  readonly #options: ReplicaCallsOptions;
  readonly #slices: Fresh<Iterable<EndpointSlice>>;
  readonly #agent = new Agent({ maxSockets: AT_ONCE });

  constructor(options: ReplicaCallsOptions) {
    this.#options = options;
    this.#slices = new Fresh(SAME_SLICES_MS, options.clock);
  }

  /** There are no others. */
  get alone(): boolean {
    return this.#options.service === undefined;
  }

  /** Whether a question comes from a replica. */
  isReplica(caller: Caller): boolean {
    const { keys, clock } = this.#options;
    return isProof(caller.authorization ?? '', keys(), caller, clock());
  }

  /** Without an answer of the API server the replicas are not known: none is asked. */
  async ask(question: ReplicaQuestion): Promise<ReplicaAnswers> {
    const slices = this.alone ? [] : await this.#slices.get('', this.#options.slices).catch(() => []);
    const addresses = addressesIn(slices);
    const answers = await Promise.all(addresses.map((address) => this.#askOne(address, question)));
    return { asked: addresses.length, answers: answers.filter((answer) => answer !== undefined) };
  }

  /** undefined = no usable answer, for whatever reason. */
  async #askOne({ host, port }: ReplicaAddress, question: ReplicaQuestion): Promise<unknown> {
    const authorization = proofFor(this.#options.keys(), question, this.#options.clock());
    if (authorization === undefined) return undefined;
    const { target: path, body } = question;
    const { promise, resolve } = Promise.withResolvers<string | undefined>();
    const asked = request(
      {
        host,
        port,
        path,
        method: body === undefined ? 'GET' : 'POST',
        agent: this.#agent,
        headers: { authorization, ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
        signal: AbortSignal.timeout(ANSWER_MS),
      },
      (response) => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (chunk: string) => {
          text += chunk;
          if (text.length > MAX_ANSWER) asked.destroy();
        });
        response.on('end', () => resolve(response.statusCode === 200 ? text : undefined));
        response.on('close', () => resolve(undefined));
        response.on('error', () => resolve(undefined));
      },
    );
    asked.on('error', () => resolve(undefined));
    asked.end(body);
    return parsed(await promise);
  }
}

function parsed(text: string | undefined): unknown {
  try {
    return text === undefined ? undefined : (JSON.parse(text) as unknown);
  } catch {
    return undefined;
  }
}
