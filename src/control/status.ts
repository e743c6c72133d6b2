/** Writes status as the leader: StickyPolicy `status.ancestors` and Ingress `status.loadBalancer`, only what is different from what stands there. */
import { isDeepStrictEqual } from 'node:util';
import { namesOf, type ObjectKey } from '../model/ids.ts';
import { changedKeys } from '../model/sharded-map.ts';
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

/** What an object's status is made from; plain data: where all parts are equal no second look at the object is needed. */
type Wish = readonly unknown[];

interface Kind {
  readonly name: 'Ingress' | 'StickyPolicy';
  readonly apiVersion: string;
  readonly plural: string;
}

const INGRESS: Kind = { name: 'Ingress', apiVersion: 'networking.k8s.io/v1', plural: 'ingresses' };
const POLICY: Kind = { name: 'StickyPolicy', apiVersion: 'holdfast.dev/v1alpha1', plural: 'stickypolicies' };
const KINDS = [INGRESS, POLICY];
const NOTHING_WANTED: WantedStatus = {
  compiled: { ingresses: new Map(), policies: new Map() },
  refused: new Map(),
  addresses: undefined,
};
const PAGE = '500';
const RELIST_MS = 10 * 60_000;
const RETRY_MS = 5000;
/** At the end there is little time, and the queue with its pauses is stopped. */
const WITHDRAWN_AT_ONCE = 16;
/** A field manager's name may be no longer. */
const MAX_MANAGER = 128;

export class StatusWriter {
  readonly #options: StatusOptions;
  readonly #queue: WriteQueue;
  #wanted: WantedStatus | undefined;
  /** What the objects' status has been found or made to agree with. */
  readonly #settled = { Ingress: new Map<ObjectKey, Wish>(), StickyPolicy: new Map<ObjectKey, Wish>() };
  /** What the objects were last compared with; `NOTHING_WANTED` = all of them have to be. */
  #compared = NOTHING_WANTED;
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
    this.#unlist();
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

  /**
   * Takes the addresses that we have applied out of every Ingress; to be called after `stop`. Applying nothing does it: the
   * API server knows what is ours alone, and leaves what others have written since.
   *
   * @param signal ends it, done or not
   */
  async withdraw(signal: AbortSignal): Promise<void> {
    const { leading, logger } = this.#options;
    const left = [...(this.#wanted?.compiled.ingresses.keys() ?? [])];
    const total = left.length;
    let done = 0;
    let failure: unknown;
    const work = async (): Promise<void> => {
      for (let key = left.pop(); key !== undefined && leading() && !signal.aborted; key = left.pop()) {
        await this.#withdrawOne(key, signal).then(
          () => done++,
          (error: unknown) => (failure = error),
        );
      }
    };
    await Promise.all(Array.from({ length: WITHDRAWN_AT_ONCE }, work));
    const details = { done, of: total };
    if (done === total) logger.info(details, 'our addresses have been taken out of the status of Ingresses');
    else logger.warn({ ...details, err: failure }, 'our addresses stay in the status of Ingresses');
  }

  async #withdrawOne(key: ObjectKey, signal: AbortSignal): Promise<void> {
    const { namespace, name } = namesOf(key);
    const path = `${collection(INGRESS, namespace)}/${name}`;
    const answer = await this.#apply(INGRESS, path, { namespace, name }, undefined, signal);
    if (answer.status !== 404 && answer.status >= 300) throw refusal(id(INGRESS, key), answer);
  }

  /** A failure is a bug and stops nothing: the next change and the next list look again. */
  #look(): void {
    guarded(this.#options.logger, 'comparing the status of objects', () => this.#compareChanged());
  }

  #compareChanged(): void {
    const wanted = this.#wanted;
    if (wanted === undefined || this.#stopped || !this.#options.leading()) return;
    if (!this.#listed) {
      // After a list that failed, the next one has its time.
      if (this.#listTimer === undefined) this.#listAll();
      return;
    }
    const { compiled, refused, addresses } = this.#compared;
    const ingresses = changedKeys(compiled.ingresses, wanted.compiled.ingresses);
    const all = isDeepStrictEqual(addresses, wanted.addresses) ? [] : wanted.compiled.ingresses.keys();
    this.#compareKeys(INGRESS, new Set([...ingresses, ...all]), wanted);
    const policies = changedKeys(compiled.policies, wanted.compiled.policies);
    this.#compareKeys(POLICY, new Set([...policies, ...changedKeys(refused, wanted.refused)]), wanted);
    this.#compared = wanted;
  }

  #compareKeys(kind: Kind, keys: Iterable<ObjectKey>, wanted: WantedStatus): void {
    const settled = this.#settled[kind.name];
    for (const key of keys) {
      if (!this.#isSubject(kind, key, wanted)) settled.delete(key);
      else if (!isSame(settled.get(key), this.#wish(kind, key, wanted))) this.#queue.add(id(kind, key));
    }
  }

  /** What stands in the cluster has to be read (again), and everything compared with it. */
  #unlist(): void {
    for (const { name } of KINDS) this.#settled[name].clear();
    this.#listed = false;
    this.#compared = NOTHING_WANTED;
  }

  #isSubject(kind: Kind, key: ObjectKey, { compiled, refused, addresses }: WantedStatus): boolean {
    if (kind === INGRESS) return addresses !== undefined && compiled.ingresses.has(key);
    return compiled.policies.has(key) || refused.has(key);
  }

  #wish(kind: Kind, key: ObjectKey, { compiled, refused, addresses }: WantedStatus): Wish {
    return kind === INGRESS ? [addresses, compiled.ingresses.get(key)] : [refused.get(key), compiled.policies.get(key)];
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
      this.#unlist();
      this.#look();
    }, ms);
  }

  /** Everything once, in pages; objects whose status is right already are settled without a request of their own. */
  async #list(): Promise<void> {
    const { namespaces } = this.#options;
    for (const kind of KINDS) {
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
    if (wanted === undefined || !this.#isSubject(kind, key, wanted)) return;
    const settled = this.#settled[kind.name];
    if (this.#change(kind, key, raw, wanted) !== undefined) settled.delete(key);
    else settled.set(key, this.#wish(kind, key, wanted));
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

  /** Reads the object and writes what differs; false = it or what is wanted has changed meanwhile, once more. */
  async #settle(known: string): Promise<boolean> {
    const wanted = this.#wanted;
    const [name, key = ''] = known.split(' ');
    const kind = name === INGRESS.name ? INGRESS : POLICY;
    if (wanted === undefined) return true;
    const settled = this.#settled[kind.name];
    if (!this.#isSubject(kind, key, wanted)) {
      settled.delete(key);
      return true;
    }
    const { namespace, name: objectName } = namesOf(key);
    const path = `${collection(kind, namespace)}/${objectName}`;
    const read = await this.#options.api.request('GET', path);
    // It has gone; the watch says so, too.
    if (read.status === 404) return true;
    if (read.status !== 200) throw refusal(known, read);
    const raw = read.json() as RawObject;
    const wish = this.#wish(kind, key, wanted);
    const status = this.#change(kind, key, raw, wanted);
    if (status !== undefined) {
      const { name, namespace, resourceVersion } = raw.metadata ?? {};
      const written = await this.#apply(kind, path, { name, namespace, resourceVersion }, status);
      if (written.status === 409) return false;
      if (written.status !== 404 && written.status >= 300) throw refusal(known, written);
    }
    settled.set(key, wish);
    // What is wanted may be what it was before this write: then no comparison has asked for another one.
    return isSame(wish, this.#wish(kind, key, this.#wanted ?? wanted));
  }

  /**
   * Server-side apply. Lists of ancestors and addresses are atomic, so entries of others are sent along as they were
   * read; the resourceVersion makes it a 409 when one has changed since, and force takes the list over from its last writer.
   */
  async #apply(
    kind: Kind,
    path: string,
    metadata: Readonly<Record<string, string | undefined>>,
    status: unknown,
    signal?: AbortSignal,
  ): Promise<KubeResponse> {
    const fieldManager = this.#options.controllerName.slice(0, MAX_MANAGER);
    return await this.#options.api.request('PATCH', `${path}/status`, {
      body: { apiVersion: kind.apiVersion, kind: kind.name, metadata, status },
      contentType: 'application/apply-patch+yaml',
      query: { fieldManager, force: 'true' },
      ...(signal === undefined ? {} : { signal }),
    });
  }
}

/** Nearly always the same objects as before. */
function isSame(settled: Wish | undefined, wish: Wish): boolean {
  return settled !== undefined && wish.every((part, i) => part === settled[i] || isDeepStrictEqual(part, settled[i]));
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
