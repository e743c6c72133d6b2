/** Hands raw objects of one scope to the sink, projected on arrival; knows which ones the sink has. */
import { projectPod } from '../../api/pod.ts';
import { project } from '../../api/project.ts';
import { namesOf, objectKey, type ObjectKey } from '../../model/ids.ts';
import type { Problem } from '../../model/problem.ts';
import type { SourceEvent, SourceSink } from '../../model/snapshot.ts';
import { recordOf } from './fault.ts';
import { pathOf, type Scope } from './kinds.ts';

/** kubectl's copy of the object; it is as large as all the rest. */
const LAST_APPLIED = 'kubectl.kubernetes.io/last-applied-configuration';

interface DeliveryHooks {
  /**
   * Shared by watches that may bring the same object, one after the other: who brought it last. One that is made anew under
   * its name shall not be deleted by the watch that had the former.
   */
  readonly holders?: Map<ObjectKey, Delivery>;
  readonly onRefused?: () => void;
}

export class Delivery {
  readonly #scope: Scope;
  readonly #sink: SourceSink;
  readonly #key: string;
  readonly #known = new Set<ObjectKey>();
  /** Objects that cannot even be named. */
  #nameless: readonly Problem[] = [];
  #refusal: readonly Problem[] = [];
  readonly #hooks: DeliveryHooks;
  /** During a list: the keys that it holds. */
  #listed: Set<string> | undefined;

  constructor(scope: Scope, sink: SourceSink, hooks: DeliveryHooks = {}) {
    this.#scope = scope;
    this.#sink = sink;
    this.#hooks = hooks;
    this.#key = `kubernetes:${pathOf(scope)}?${scope.fieldSelector ?? ''}`;
  }

  beginList(): void {
    this.#listed = new Set();
    this.#nameless = [];
  }

  /** The list was complete: what it did not hold is gone. */
  endList(): void {
    const listed = this.#listed ?? new Set();
    this.#listed = undefined;
    for (const key of this.#known) if (!listed.has(key)) this.#delete(key);
    this.#tellOwn();
  }

  apply(raw: unknown): void {
    const event = this.#eventOf(raw);
    if (event === undefined) {
      this.#nameless = [this.#problem('An object came without a name, so it is not served.')];
      this.#tellOwn();
      return;
    }
    const { namespace, name } = event.type === 'pod' ? event.pod : event.ref;
    const key = objectKey(namespace, name);
    this.#known.add(key);
    this.#hooks.holders?.set(key, this);
    this.#listed?.add(key);
    this.#sink(event);
  }

  delete(raw: unknown): void {
    const { namespace, name } = recordOf(recordOf(raw)['metadata']);
    if (typeof name !== 'string') return;
    this.#delete(objectKey(typeof namespace === 'string' ? namespace : '', name));
  }

  /** The API server does not let us read these objects, or has no such kind; undefined = it does now. */
  refused(message: string | undefined): void {
    this.#refusal = message === undefined ? [] : [this.#problem(message)];
    this.#tellOwn();
    if (message !== undefined) this.#hooks.onRefused?.();
  }

  /** Nobody is to see these objects any more; nothing may be delivered after this. */
  withdraw(): void {
    for (const key of this.#known) this.#delete(key);
    this.#nameless = [];
    this.refused(undefined);
  }

  #delete(key: ObjectKey): void {
    if (!this.#known.delete(key)) return;
    const { holders } = this.#hooks;
    if (holders !== undefined && holders.get(key) !== this) return;
    holders?.delete(key);
    this.#sink({ type: 'delete', ref: { kind: this.#scope.watched.kind, ...namesOf(key) } });
  }

  #tellOwn(): void {
    this.#sink({ type: 'sourceProblems', key: this.#key, problems: [...this.#refusal, ...this.#nameless] });
  }

  #problem(message: string): Problem {
    const { watched, namespace } = this.#scope;
    return { severity: 'error', object: { kind: watched.kind, namespace, name: '' }, field: '', message };
  }

  /** undefined = the object has no name. */
  #eventOf(raw: unknown): Extract<SourceEvent, { type: 'apply' | 'pod' }> | undefined {
    const { kind, apiVersion } = this.#scope.watched;
    if (kind === 'Pod') {
      const projected = projectPod(raw);
      return projected === undefined ? undefined : { type: 'pod', ...projected };
    }
    // Items of a list come without kind and version.
    const projected = project({ ...trimmed(recordOf(raw)), apiVersion, kind }, undefined, undefined, 'apiServer');
    if (projected === undefined || projected.ref.name === '') return undefined;
    const { ref, resource, problems } = projected;
    return { type: 'apply', ref, resource, problems };
  }
}

/** Without what is large and never used. */
function trimmed(raw: Record<string, unknown>): Record<string, unknown> {
  const { managedFields: _, annotations, ...metadata } = recordOf(raw['metadata']);
  const { [LAST_APPLIED]: __, ...rest } = recordOf(annotations);
  // Annotations that are no mapping are for the projection to report.
  return { ...raw, metadata: { ...metadata, ...(isMapping(annotations) ? { annotations: rest } : { annotations }) } };
}

function isMapping(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
