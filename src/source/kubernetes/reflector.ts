/** Mirrors one kind from the API server: lists, then watches from where the list ended, through every failure, until it is stopped. */
import { BackOff, type BackOffTiming } from './back-off.ts';
import { readText, type KubeApi, type KubeStream } from './client.ts';
import type { Delivery } from './deliver.ts';
import { ApiFault, faultOfAnswer, faultOfStatus, GONE } from './fault.ts';
import { pathOf, type Scope } from './kinds.ts';
import { LineSplitter } from './lines.ts';
import { readEvent, readPage, type Page } from './wire.ts';

/** Injected time: wall clock, ms. */
export interface Clock {
  now(): number;
  setTimeout(fn: () => void, ms: number): unknown;
  clearTimeout(handle: unknown): void;
}

export interface ReflectorTiming extends BackOffTiming {
  /** Objects a page. */
  readonly page: number;
  /** A watch is asked to end after this to twice this: s. */
  readonly watchSeconds: number;
  /** A watch that says nothing for so long, not even a bookmark, is dead: ms. The API server sends one a minute. */
  readonly silence: number;
  /** A list, or the head of a watch, takes no longer: ms. */
  readonly answer: number;
  /** Of one event: bytes. etcd holds objects of 1.5 MiB at most. */
  readonly line: number;
  /** A kind of a CRD counts as empty after it has been missing (404, and no other answer) for so long: ms. */
  readonly missing: number;
  /** A watch that ends after less than this without an event did not work: ms. */
  readonly settled: number;
}

export const TIMING: ReflectorTiming = {
  first: 100,
  most: 30_000,
  mostUnreachable: 1000,
  mostAsked: 120_000,
  mostAskedStarting: 1000,
  page: 500,
  watchSeconds: 300,
  silence: 150_000,
  answer: 60_000,
  line: 16 * 1024 * 1024,
  missing: 30_000,
  settled: 1000,
};

export interface ReflectorOptions {
  readonly scope: Scope;
  readonly api: KubeApi;
  readonly delivery: Pick<Delivery, 'beginList' | 'endList' | 'apply' | 'delete' | 'refused'>;
  readonly timing: ReflectorTiming;
  readonly clock: Clock;
  /** 0 up to, not including, 1. */
  readonly random: () => number;
  readonly onSynced: () => void;
  readonly log: (details: object, message: string) => void;
}

const FAULT_BYTES = 1024 * 1024;

export class Reflector {
  readonly #options: ReflectorOptions;
  readonly #path: string;
  readonly #backOff: BackOff;
  readonly #stop = new AbortController();
  /** Opaque; undefined = a list is due. */
  #version: string | undefined;
  /** A list that expired between its pages is asked for in one piece. */
  #whole = false;
  #synced = false;
  #connected = false;
  #lastEventAt: number | undefined;
  #relists = 0;
  #told = '';
  /** Since when the API server has said nothing but that there is no such kind: wall clock, ms. */
  #missingSince: number | undefined;

  constructor(options: ReflectorOptions) {
    this.#options = options;
    this.#path = pathOf(options.scope);
    this.#backOff = new BackOff(options.timing, options.random);
  }

  get scope(): Scope {
    return this.#options.scope;
  }

  /** The first list has been handed over as a whole. */
  get synced(): boolean {
    return this.#synced;
  }

  /** Whether a watch runs. */
  get connected(): boolean {
    return this.#connected;
  }

  /** When the API server last said anything here, be it a bookmark: wall clock, ms; undefined = never yet. */
  get lastEventAt(): number | undefined {
    return this.#lastEventAt;
  }

  /** Lists after the first one. */
  get relists(): number {
    return this.#relists;
  }

  /** Final: nothing reaches the sink after this call. */
  stop(): void {
    this.#stop.abort();
  }

  /** Resolves after `stop()`; never rejects. */
  async run(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      try {
        await this.#round();
      } catch (error) {
        await this.#failed(error);
      }
    }
  }

  /** One list if one is due, then one watch; returns when the watch ended as it should. */
  async #round(): Promise<void> {
    this.#version ??= await this.#list();
    const started = this.#options.clock.now();
    const events = await this.#watch(this.#version);
    if (events === 0 && this.#options.clock.now() - started < this.#options.timing.settled) {
      throw new Error('the watch ended as soon as it had begun');
    }
    this.#backOff.reset();
  }

  async #list(): Promise<string> {
    const { delivery, timing } = this.#options;
    if (this.#synced) this.#relists++;
    delivery.beginList();
    let version: string | undefined;
    let next = '';
    do {
      const page = await this.#page(next, timing);
      this.#stop.signal.throwIfAborted();
      for (const raw of page.items) delivery.apply(raw);
      // Further pages show the state of the first one's version.
      version ??= page.resourceVersion;
      next = page.next;
    } while (next !== '');
    delivery.endList();
    this.#whole = false;
    this.#missingSince = undefined;
    this.#touch();
    this.#sync();
    return version;
  }

  #sync(): void {
    if (this.#synced) return;
    this.#synced = true;
    this.#options.onSynced();
  }

  async #page(next: string, timing: ReflectorTiming): Promise<Page> {
    const query = {
      ...selection(this.#options.scope),
      ...(this.#whole ? {} : { limit: String(timing.page) }),
      ...(next === '' ? {} : { continue: next }),
    };
    const answer = await this.#options.api.request('GET', this.#path, {
      query,
      accept: this.#options.scope.watched.accept.list,
      signal: this.#stop.signal,
      timeout: timing.answer,
    });
    if (answer.status === 200) return readPage(answer.json());
    if (answer.status === GONE && next !== '') this.#whole = true;
    throw faultOfAnswer(answer.status, answer.headers, answer.text);
  }

  /** Resolves with the number of events and bookmarks when the server ends the watch. */
  async #watch(version: string): Promise<number> {
    const { clock, timing, random } = this.#options;
    // Ends with this watch: by stop(), or by silence.
    const ending = new AbortController();
    const signal = AbortSignal.any([this.#stop.signal, ending.signal]);
    let timer: unknown;
    const alive = () => {
      clock.clearTimeout(timer);
      timer = clock.setTimeout(() => ending.abort(new Error('the watch fell silent')), timing.silence);
    };
    try {
      const seconds = Math.floor(timing.watchSeconds * (1 + random()));
      const stream = await this.#open(version, seconds, signal);
      alive();
      return await this.#follow(stream, alive);
    } catch (error) {
      throw ending.signal.aborted ? ending.signal.reason : error;
    } finally {
      clock.clearTimeout(timer);
      this.#connected = false;
    }
  }

  async #open(version: string, seconds: number, signal: AbortSignal): Promise<KubeStream> {
    const query = {
      ...selection(this.#options.scope),
      watch: 'true',
      allowWatchBookmarks: 'true',
      resourceVersion: version,
      timeoutSeconds: String(seconds),
    };
    const { accept } = this.#options.scope.watched;
    const { answer } = this.#options.timing;
    const stream = await this.#options.api.stream(this.#path, { query, accept: accept.watch, signal, timeout: answer });
    if (stream.status === 200) {
      this.#answered();
      return stream;
    }
    throw faultOfAnswer(stream.status, stream.headers, await readText(stream.body, FAULT_BYTES));
  }

  async #follow({ body }: KubeStream, alive: () => void): Promise<number> {
    const lines = new LineSplitter(this.#options.timing.line);
    let events = 0;
    this.#connected = true;
    // Leaving the loop by an exception destroys the stream.
    for await (const chunk of body as AsyncIterable<Buffer>) {
      alive();
      for (const line of splitOrRelist(lines, chunk, () => this.#relist())) {
        this.#stop.signal.throwIfAborted();
        // Bookmarks do not count: a watch that always ends after one would be opened again without a pause.
        if (this.#take(line) && ++events === 1) this.#backOff.reset();
      }
      this.#touch();
    }
    return events;
  }

  /** Whether the line told a change. */
  #take(line: string): boolean {
    const event = this.#read(line);
    if (event === undefined) return false;
    if (event.type === 'error') throw faultOfStatus(event.object);
    if (event.type === 'applied') this.#options.delivery.apply(event.object);
    if (event.type === 'deleted') this.#options.delivery.delete(event.object);
    if (event.resourceVersion !== undefined) this.#version = event.resourceVersion;
    return event.type === 'applied' || event.type === 'deleted';
  }

  /** After a line that cannot be read, only a list can tell what it said. */
  #read(line: string): ReturnType<typeof readEvent> {
    try {
      return readEvent(line);
    } catch (error) {
      this.#relist();
      throw error;
    }
  }

  #relist(): void {
    this.#version = undefined;
  }

  #touch(): void {
    this.#lastEventAt = this.#options.clock.now();
  }

  #answered(): void {
    if (this.#told === '') return;
    this.#told = '';
    this.#options.delivery.refused(undefined);
    this.#options.log({ path: this.#path }, 'the API server answers again');
  }

  async #failed(error: unknown): Promise<void> {
    if (this.#stop.signal.aborted) return;
    if (error instanceof ApiFault && error.status === GONE) this.#relist();
    const wait = this.#backOff.next(error);
    this.#tell(error);
    this.#countMissing(error);
    await this.#pause(wait);
  }

  /**
   * Without the CRD there are no objects of it, and nothing else shall wait for them; it is asked for on and on. Not at the
   * first 404: a gateway or an API server that is starting may answer one, and policies must not vanish by it.
   */
  #countMissing(error: unknown): void {
    const { clock, scope, timing } = this.#options;
    if (scope.watched.custom !== true || !(error instanceof ApiFault) || error.status !== 404) {
      this.#missingSince = undefined;
      return;
    }
    const now = clock.now();
    this.#missingSince ??= now;
    if (now - this.#missingSince >= timing.missing) this.#sync();
  }

  /** Each new failure is told once, not at every try; an expired version is everyday business. */
  #tell(error: unknown): void {
    const status = error instanceof ApiFault ? error.status : undefined;
    const text = error instanceof Error ? error.message : String(error);
    if (status === 401 || status === 403 || status === 404)
      this.#options.delivery.refused(adviceFor(status, text, this.#options.scope));
    if (status === GONE || this.#told === text) return;
    this.#told = text;
    this.#options.log({ path: this.#path, status, why: text }, 'watching failed; trying again');
  }

  async #pause(ms: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<undefined>();
    const { clock } = this.#options;
    const { signal } = this.#stop;
    const done = () => resolve(undefined);
    const timer = clock.setTimeout(done, ms);
    signal.addEventListener('abort', done, { once: true });
    await promise;
    signal.removeEventListener('abort', done);
    clock.clearTimeout(timer);
  }
}

function* splitOrRelist(lines: LineSplitter, chunk: Buffer, relist: () => void): Generator<string> {
  try {
    yield* lines.push(chunk);
  } catch (error) {
    if (error instanceof RangeError) relist();
    throw error;
  }
}

function adviceFor(status: number, text: string, { watched }: Scope): string {
  const [group = ''] = watched.apiVersion.split('/');
  switch (status) {
    case 404:
      return watched.custom === true
        ? `The API server has no such kind, so none are served (${text}); install the CustomResourceDefinition ${watched.plural}.${group}: kubectl apply -f manifests/crds/, or crds.install: true in the chart.`
        : `The API server has no such kind, so none are served (${text}); is this a Kubernetes API server?`;
    case 403:
      return `We may not read these objects, so changes are not seen (${text}); grant get, list and watch.`;
    default:
      return `The API server refuses our credentials, so changes are not seen (${text}); renew them.`;
  }
}

function selection({ fieldSelector }: Scope): Record<string, string> {
  return fieldSelector === undefined ? {} : { fieldSelector };
}
