/**
 * The session store as a worker and the main thread use it: every question is answered within its time (50 ms where a
 * request waits) or not at all, and a store that has failed five times in a row is left alone until a probe succeeds.
 * Nothing here ever rejects.
 */
import type { StoreClient } from './client.ts';
import { detached } from './detached.ts';

/** A request waits no longer than this for an answer. */
export const ANSWER_MS = 50;
/** Thousands of texts may come, and nobody waits. */
const RECALL_MS = 1000;
const MAX_FAILURES = 5;
const PROBE_EVERY_MS = 1000;
const PROBE = 'holdfast:probe';
/** Whoever starts waits for the store so long: a worker's first requests shall find their keys. */
const START_MS = 1500;

export interface SessionStoreOptions {
  /** Opens a connection; `onError` hears what goes wrong with it later. */
  readonly open: (onError: (error: Error) => void) => Promise<StoreClient>;
  /** Counts a question and how long it took. */
  readonly onAsked: (seconds: number, failed: boolean) => void;
  /** It has come up, or is left alone because of `fault`. */
  readonly onTurn: (up: boolean, fault: string) => void;
}

export class SessionStore {
  /** It is asked. */
  up = false;
  readonly #options: SessionStoreOptions;
  #client: StoreClient | undefined;
  #failures = 0;
  #fault = '';
  #probe: NodeJS.Timeout | undefined;
  /** What `onTurn` was last told. */
  #said: boolean | undefined;
  #stopped = false;

  constructor(options: SessionStoreOptions) {
    this.#options = options;
  }

  /** Connects. Resolves when that has succeeded, failed or taken too long; it is tried again until `stop()`. */
  async start(): Promise<void> {
    await within(START_MS, this.#tryUp()).catch(() => undefined);
  }

  stop(): void {
    this.#stopped = true;
    this.up = false;
    clearTimeout(this.#probe);
    this.#client?.close();
  }

  /** What is stored under the name, empty = nothing; undefined = there was no answer. */
  async find(name: string): Promise<string | undefined> {
    return await this.#ask((client) => client.find(name));
  }

  /** As `StoreClient.claim`; undefined = there was no answer. */
  async claim(name: string, value: string, ttl: number, replaces: string): Promise<string | undefined> {
    return await this.#ask((client) => client.claim(name, value, ttl, replaces));
  }

  async put(name: string, value: string, ttl: number): Promise<boolean> {
    return (await this.#ask((client) => client.put(name, value, ttl).then(() => true))) ?? false;
  }

  async remove(name: string): Promise<void> {
    await this.#ask((client) => client.remove(name));
  }

  /** As `StoreClient.remember`; false = there was no answer. */
  async remember(name: string, member: string, until: number, now: number): Promise<boolean> {
    return (await this.#ask((client) => client.remember(name, member, until, now).then(() => true))) ?? false;
  }

  /** As `StoreClient.recall`, for which no request waits; undefined = there was no answer. */
  async recall(name: string, now: number): Promise<string[] | undefined> {
    return await this.#ask((client) => client.recall(name, now), RECALL_MS);
  }

  async #ask<T>(question: (client: StoreClient) => Promise<T>, ms = ANSWER_MS): Promise<T | undefined> {
    const client = this.#client;
    if (!this.up || client === undefined) return undefined;
    try {
      const answer = await this.#timed(question(client), ms);
      this.#failures = 0;
      return answer;
    } catch (error) {
      // What was asked before it was given up is late by now, and says nothing new.
      if (client === this.#client && ++this.#failures >= MAX_FAILURES && this.up) this.#goDown(messageOf(error));
      return undefined;
    }
  }

  async #timed<T>(answer: Promise<T>, ms = ANSWER_MS): Promise<T> {
    const began = performance.now();
    let failed = true;
    try {
      const value = await within(ms, answer);
      failed = false;
      return value;
    } finally {
      this.#options.onAsked((performance.now() - began) / 1000, failed);
    }
  }

  #goDown(fault: string): void {
    this.up = false;
    this.#turn(false, fault);
    detached(this.#tryUp());
  }

  /** Looks whether the store can be written to, over a new connection when the old one does not do. */
  async #tryUp(): Promise<void> {
    let client = this.#client;
    try {
      client ??= await this.#open();
      if (this.#stopped) return client.close();
      this.#client = client;
      await this.#timed(client.put(PROBE, '', PROBE_EVERY_MS));
      this.#failures = 0;
      this.up = !this.#stopped;
      this.#turn(true, '');
    } catch (error) {
      client?.close();
      this.#client = undefined;
      this.#turn(false, this.#fault || messageOf(error));
      this.#fault = '';
      if (this.#stopped) return;
      this.#probe = setTimeout(() => detached(this.#tryUp()), PROBE_EVERY_MS).unref();
    }
  }

  async #open(): Promise<StoreClient> {
    const began = performance.now();
    try {
      return await this.#options.open((error) => {
        this.#fault = error.message;
      });
    } catch (error) {
      this.#options.onAsked((performance.now() - began) / 1000, true);
      throw error;
    }
  }

  /** Says so when it is news. */
  #turn(up: boolean, fault: string): void {
    if (this.#said === up || this.#stopped) return;
    this.#said = up;
    this.#options.onTurn(up, fault);
  }
}

/** Rejects when the answer is not there in time; what it is then is nobody's business. */
async function within<T>(ms: number, answer: Promise<T>): Promise<T> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new Error(`no answer within ${ms} ms`)), ms);
  try {
    return await Promise.race([answer, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
