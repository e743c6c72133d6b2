/** Writes status as the leader: StickyPolicy `status.ancestors` and Ingress `status.loadBalancer`, only what is different from what stands there. */
import { isDeepStrictEqual } from 'node:util';
import type { ObjectKey } from '../model/ids.ts';
import type { CompiledStatus } from '../model/status.ts';
import type { KubeApi, KubeResponse } from '../source/kubernetes/client.ts';
import type { Clock } from '../store/hold-off.ts';
import type { Logger } from '../telemetry/logger.ts';
import { guarded } from './guarded.ts';
import { ancestorsOf, loadBalancerOf, type LoadBalancerAddress, type RawObject } from './status-objects.ts';
import { WriteQueue } from './write-queue.ts';

export interface StatusOptions {
  readonly api: Pick<KubeApi, 'request'>;
  /** Our name in entries, and the field manager of what we write. */
  readonly controllerName: string;
  /** Empty = all; otherwise nothing is asked of others. */
  readonly namespaces: readonly string[];
  readonly leading: () => boolean;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** What the status of every object shall say. */
export interface WantedStatus {
  readonly compiled: CompiledStatus;
  /** Why StickyPolicies were refused before they were compiled, by key: their Problems in one text. */
  readonly refused: ReadonlyMap<ObjectKey, string>;
  /** undefined = nothing is said about addresses. */
  readonly addresses: readonly LoadBalancerAddress[] | undefined;
}

interface Kind {
  readonly name: 'Ingress' | 'StickyPolicy';
  readonly apiVersion: string;
  readonly plural: string;
}

const INGRESS: Kind = { name: 'Ingress', apiVersion: 'networking.k8s.io/v1', plural: 'ingresses' };
const POLICY: Kind = { name: 'StickyPolicy', apiVersion: 'holdfast.dev/v1alpha1', plural: 'stickypolicies' };
const PAGE = '500';
const RELIST_MS = 10 * 60_000;
const RETRY_MS = 5000;
/** A field manager's name may be no longer. */
const MAX_MANAGER = 128;

export class StatusWriter {
  readonly #options: StatusOptions;
  readonly #queue: WriteQueue;
  #wanted: WantedStatus | undefined;
  /** By kind and key: what the object's status has been found or made to agree with. */
  readonly #settled = new Map<string, unknown>();
  #listed = false;
  #listing = false;
  #listTimer: unknown;
  #stopped = false;

  constructor(options: StatusOptions) {
    this.#options = options;
    this.#queue = new WriteQueue({
      write: (key) => this.#settle(key),
      allowed: options.leading,
      clock: options.clock,
      logger: options.logger,
    });
  }

  /** To be called with what is live in all workers. */
  update(wanted: WantedStatus): void {
    this.#wanted = wanted;
    this.#look();
  }

  /** A new leader first reads what stands there: most of it will be right. */
  lead(): void {
    this.#settled.clear();
    this.#listed = false;
    this.#options.clock.clearTimeout(this.#listTimer);
    this.#listTimer = undefined;
    this.#look();
  }

  /** Resolves when no write is under way. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#options.clock.clearTimeout(this.#listTimer);
    await this.#queue.stop();
  }

  /** A failure is a bug and stops nothing: the next change and the next list look again. */
  #look(): void {
    guarded(this.#options.logger, 'comparing the status of objects', () => this.#compareAll());
  }

  #compareAll(): void {
    const wanted = this.#wanted;
    if (wanted === undefined || this.#stopped || !this.#options.leading()) return;
    if (!this.#listed) {
      // After a list that failed, the next one has its time.
      if (this.#listTimer === undefined) this.#listAll();
      return;
    }
    for (const [kind, key] of this.#subjects(wanted)) {
      if (!isDeepStrictEqual(this.#settled.get(id(kind, key)), this.#wish(kind, key, wanted)))
        this.#queue.add(id(kind, key));
    }
    for (const known of this.#settled.keys()) if (!this.#isSubject(known, wanted)) this.#settled.delete(known);
  }

  *#subjects({ compiled, refused, addresses }: WantedStatus): Generator<[Kind, ObjectKey]> {
    if (addresses !== undefined) for (const key of compiled.ingresses) yield [INGRESS, key];
    for (const key of new Set([...compiled.policies.keys(), ...refused.keys()])) yield [POLICY, key];
  }

  #isSubject(known: string, { compiled, refused, addresses }: WantedStatus): boolean {
    const [name, key = ''] = known.split(' ');
    if (name === INGRESS.name) return addresses !== undefined && compiled.ingresses.has(key);
    return compiled.policies.has(key) || refused.has(key);
  }

  /** Plain data: two that are equal need no second look at the object. */
  #wish(kind: Kind, key: ObjectKey, { compiled, refused, addresses }: WantedStatus): unknown {
    if (kind === INGRESS) return addresses;
    return { refused: refused.get(key), status: compiled.policies.get(key) };
  }

  #listAll(): void {
    if (this.#listing) return;
    this.#listing = true;
    this.#list().then(
      () => {
        this.#listing = false;
        this.#listed = true;
        // What somebody else has wiped out is put back.
        this.#listAgain(RELIST_MS);
        this.#look();
      },
      (error: unknown) => {
        this.#listing = false;
        this.#options.logger.warn({ err: error }, 'the status of objects could not be read; trying again');
        this.#listAgain(RETRY_MS);
      },
    );
  }

  #listAgain(ms: number): void {
    this.#options.clock.clearTimeout(this.#listTimer);
    if (this.#stopped) return;
    this.#listTimer = this.#options.clock.setTimeout(() => {
      this.#listTimer = undefined;
      this.#listed = false;
      this.#look();
    }, ms);
  }

  /** Everything once, in pages; objects whose status is right already are settled without a request of their own. */
  async #list(): Promise<void> {
    const { namespaces } = this.#options;
    for (const kind of [INGRESS, POLICY]) {
      for (const namespace of namespaces.length === 0 ? [undefined] : namespaces) {
        let next = '';
        do {
          const query = { limit: PAGE, ...(next === '' ? {} : { continue: next }) };
          const answer = await this.#options.api.request('GET', collection(kind, namespace), { query });
          // No such kind: its CRD is not installed, which the watch tells about.
          if (answer.status === 404) break;
          if (answer.status !== 200)
            throw new Error(`the API server answered ${answer.status} to a list of ${kind.plural}`);
          const page = answer.json() as { items?: RawObject[]; metadata?: { continue?: string } };
          for (const raw of page.items ?? []) this.#compare(kind, raw);
          next = page.metadata?.continue ?? '';
        } while (next !== '' && !this.#stopped);
      }
    }
  }

  #compare(kind: Kind, raw: RawObject): void {
    const wanted = this.#wanted;
    const key = `${raw.metadata?.namespace ?? ''}/${raw.metadata?.name ?? ''}`;
    if (wanted === undefined || !this.#isSubject(id(kind, key), wanted)) return;
    if (this.#change(kind, key, raw, wanted) !== undefined) this.#settled.delete(id(kind, key));
    else this.#settled.set(id(kind, key), this.#wish(kind, key, wanted));
  }

  /** The status to apply; undefined = it says all that already. */
  #change(kind: Kind, key: ObjectKey, raw: RawObject, wanted: WantedStatus): Record<string, unknown> | undefined {
    if (kind === INGRESS) return wanted.addresses === undefined ? undefined : loadBalancerOf(raw, wanted.addresses);
    const { controllerName, clock } = this.#options;
    return ancestorsOf(raw, {
      status: wanted.compiled.policies.get(key),
      refused: wanted.refused.get(key),
      controllerName,
      now: clock.now(),
    });
  }

  /** Reads the object and writes what differs; false = it has changed meanwhile, once more. */
  async #settle(known: string): Promise<boolean> {
    const wanted = this.#wanted;
    if (wanted === undefined || !this.#isSubject(known, wanted)) return true;
    const [name, key = ''] = known.split(' ');
    const kind = name === INGRESS.name ? INGRESS : POLICY;
    const [namespace = '', objectName = ''] = key.split('/');
    const path = `${collection(kind, namespace)}/${objectName}`;
    const read = await this.#options.api.request('GET', path);
    // It has gone; the watch says so, too.
    if (read.status === 404) return true;
    if (read.status !== 200) throw refusal(known, read);
    const raw = read.json() as RawObject;
    const wish = this.#wish(kind, key, wanted);
    const status = this.#change(kind, key, raw, wanted);
    if (status !== undefined) {
      const written = await this.#apply(kind, path, raw, status);
      if (written.status === 409) return false;
      if (written.status !== 404 && written.status >= 300) throw refusal(known, written);
    }
    this.#settled.set(known, wish);
    return true;
  }

  /**
   * Server-side apply. Lists of ancestors and addresses are atomic, so entries of others are sent along as they were
   * read; the resourceVersion makes it a 409 when one has changed since, and force takes the list over from its last writer.
   */
  async #apply(kind: Kind, path: string, raw: RawObject, status: unknown): Promise<KubeResponse> {
    const { name, namespace, resourceVersion } = raw.metadata ?? {};
    const metadata = { name, namespace, resourceVersion };
    const fieldManager = this.#options.controllerName.slice(0, MAX_MANAGER);
    return await this.#options.api.request('PATCH', `${path}/status`, {
      body: { apiVersion: kind.apiVersion, kind: kind.name, metadata, status },
      contentType: 'application/apply-patch+yaml',
      query: { fieldManager, force: 'true' },
    });
  }
}

function id(kind: Kind, key: ObjectKey): string {
  return `${kind.name} ${key}`;
}

function collection({ apiVersion, plural }: Kind, namespace: string | undefined): string {
  return `/apis/${apiVersion}${namespace === undefined ? '' : `/namespaces/${namespace}`}/${plural}`;
}

function refusal(what: string, { status, text }: KubeResponse): Error {
  return new Error(
    `the status of ${what} could not be written: the API server answered ${status}: ${text.slice(0, 300)}`,
  );
}
