/** Turns the sources' events into immutable snapshots, and says what changed after a short hold-off with a cap. */
import { isDeepStrictEqual } from 'node:util';
import type { ObjectKey } from '../model/ids.ts';
import type { Problem } from '../model/problem.ts';
import type { Snapshot, SourceEvent, SourceSink } from '../model/snapshot.ts';
import { HoldOff, type Clock } from './hold-off.ts';
import { Objects } from './objects.ts';

export type { Clock } from './hold-off.ts';

export interface StoreChange {
  readonly snapshot: Snapshot;
  /** Anything but EndpointSlices changed: routes must be compiled anew. */
  readonly routesChanged: boolean;
  /** Services whose slices changed: their pools must be built anew. */
  readonly services: ReadonlySet<ObjectKey>;
  /** When the first event of the change came: ms of the store's clock. */
  readonly since: number;
}

export interface StoreOptions {
  /** Never called before the source has delivered everything that exists; from then on also when only Problems changed. */
  readonly onChange: (change: StoreChange) => void;
  readonly clock: Clock;
  /** How long events must pause before a change is told: ms. */
  readonly holdOff?: number;
  /** A change is told at the latest so long after its first event: ms. */
  readonly cap?: number;
}

const HOLD_OFF = 1;
/** Small, so that a change in the middle of many others is live as soon as one by itself: a pass costs only what changed. */
const CAP = 10;

export class Store {
  /** Where sources send their events; bound, so that it can be handed out. */
  readonly sink: SourceSink = (event) => this.#take(event);
  readonly #onChange: (change: StoreChange) => void;
  readonly #clock: Clock;
  readonly #holdOff: HoldOff;
  readonly #objects = new Objects();
  /** By kind, namespace and name of an object, or by the key of a source. */
  readonly #problems = new Map<string, readonly Problem[]>();
  #routesChanged = true;
  #services = new Set<ObjectKey>();
  /** undefined = nothing has changed since the last change was told. */
  #since: number | undefined;
  #synced = false;
  #closed = false;

  constructor({ onChange, clock, holdOff = HOLD_OFF, cap = CAP }: StoreOptions) {
    this.#onChange = onChange;
    this.#clock = clock;
    this.#holdOff = new HoldOff(() => this.#publish(), clock, holdOff, cap);
  }

  /** The source has delivered everything that exists. */
  get synced(): boolean {
    return this.#synced;
  }

  /** All objects as of now, whether or not their change has been told yet. */
  snapshot(): Snapshot {
    return this.#objects.snapshot();
  }

  /** What sources and projections have found wrong; the compiler's Problems come beside these. */
  problems(): Problem[] {
    return [...this.#problems.values()].flat();
  }

  /** No change is told after this. */
  close(): void {
    this.#closed = true;
    this.#holdOff.cancel();
  }

  #take(event: SourceEvent): void {
    if (this.#closed || !this.#apply(event)) return;
    this.#since ??= this.#clock.now();
    if (this.#synced) this.#holdOff.start();
  }

  /** Whether anything is different now. */
  #apply(event: SourceEvent): boolean {
    switch (event.type) {
      case 'synced': {
        const first = !this.#synced;
        this.#synced = true;
        return first;
      }
      case 'sourceProblems':
        return this.#setProblems(`source ${event.key}`, event.problems);
      case 'apply': {
        // A refused object leaves its last accepted generation in force.
        const changed = event.resource !== undefined && this.#note(this.#objects.apply(event.resource));
        return this.#setProblems(refKey(event.ref), event.problems) || changed;
      }
      case 'pod': {
        const { pod, problems } = event;
        const changed = this.#note(this.#objects.applyPod(pod));
        return (
          this.#setProblems(refKey({ kind: 'Pod', namespace: pod.namespace, name: pod.name }), problems) || changed
        );
      }
      case 'delete': {
        const changed = this.#note(this.#objects.delete(event.ref));
        return this.#setProblems(refKey(event.ref), []) || changed;
      }
    }
  }

  #note({ routes, services }: { routes: boolean; services: readonly ObjectKey[] }): boolean {
    if (routes) this.#routesChanged = true;
    for (const service of services) this.#services.add(service);
    return routes || services.length > 0;
  }

  #setProblems(key: string, problems: readonly Problem[]): boolean {
    const before = this.#problems.get(key);
    if (isDeepStrictEqual(before ?? [], problems)) return false;
    if (problems.length === 0) this.#problems.delete(key);
    else this.#problems.set(key, problems);
    return true;
  }

  #publish(): void {
    const since = this.#since ?? this.#clock.now();
    const change = { snapshot: this.snapshot(), routesChanged: this.#routesChanged, services: this.#services, since };
    this.#routesChanged = false;
    this.#services = new Set();
    this.#since = undefined;
    this.#onChange(change);
  }
}

function refKey({ kind, namespace, name }: { kind: string; namespace: string; name: string }): string {
  return `object ${kind}\0${namespace}\0${name}`;
}
