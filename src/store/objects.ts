/** All watched objects, and immutable snapshots of them: a snapshot copies only the kinds changed since the last one. */
import { isDeepStrictEqual } from 'node:util';
import { objectKey, type ObjectKey, type ObjectRef } from '../model/ids.ts';
import type {
  EndpointSlice,
  Ingress,
  IngressClass,
  Pod,
  RefusedPolicy,
  Resource,
  Secret,
  Service,
  StickyPolicy,
} from '../model/resources.ts';
import { SnapshotMap } from '../model/sharded-map.ts';
import type { KnownVersion, Snapshot } from '../model/snapshot.ts';

/** What one event changed. */
export interface Effect {
  readonly routes: boolean;
  readonly services: readonly ObjectKey[];
}

/** Endpoints whose pods are never told must not fill the memory. */
const MAX_AWAITED = 100_000;

const NOTHING: Effect = { routes: false, services: [] };
const ROUTES: Effect = { routes: true, services: [] };

export class Objects {
  readonly #ingresses = new SnapshotMap<Ingress>();
  readonly #ingressClasses = new SnapshotMap<IngressClass>();
  readonly #services = new SnapshotMap<Service>();
  readonly #secrets = new SnapshotMap<Secret>();
  readonly #policies = new SnapshotMap<StickyPolicy>();
  readonly #refused = new SnapshotMap<RefusedPolicy>();
  readonly #slices = new Map<ObjectKey, EndpointSlice>();
  readonly #slicesByService = new SnapshotMap<ReadonlyMap<string, EndpointSlice>>();
  readonly #pods = new SnapshotMap<Pod>();
  readonly #podVersions = new SnapshotMap<KnownVersion>();
  /** Pods' metadata is told here. */
  #versionsKnown = false;
  /** Pods that slices name and whose version is not known yet, with the Services of those slices. */
  readonly #awaited = new Map<ObjectKey, Set<ObjectKey>>();
  #last: Snapshot | undefined;

  apply(resource: Resource): Effect {
    const key = objectKey(resource.meta.namespace, resource.meta.name);
    switch (resource.kind) {
      case 'Ingress':
        return this.#set(this.#ingresses, key, resource);
      case 'IngressClass':
        return this.#set(this.#ingressClasses, key, resource);
      case 'Service':
        return this.#set(this.#services, key, resource);
      case 'Secret':
        return this.#set(this.#secrets, key, resource);
      case 'StickyPolicy':
        return 'refused' in resource ? this.#refuse(key, resource) : this.#accept(key, resource);
      case 'EndpointSlice':
        return this.#setSlice(key, resource);
    }
  }

  /** Of pods that are not marked only the version is kept: the rest is what their slices say. */
  applyPod(pod: Pod): Effect {
    const versioned = this.#setVersion(pod);
    const marked = this.#applyMarks(pod);
    return { routes: false, services: [...versioned.services, ...marked.services] };
  }

  #setVersion({ namespace, name, uid, version: now }: Pod): Effect {
    const key = objectKey(namespace, name);
    const before = this.#podVersions.get(key);
    if (now === undefined || (before?.uid === uid && before.version === now.version)) return NOTHING;
    this.#versionsKnown = true;
    const { version, created } = now;
    this.#podVersions.set(key, { version, created, uid });
    this.#last = undefined;
    const services = [...(this.#awaited.get(key) ?? [])];
    this.#awaited.delete(key);
    return { routes: false, services };
  }

  #applyMarks(pod: Pod): Effect {
    const key = objectKey(pod.namespace, pod.name);
    const marked = pod.drainedSince !== undefined || pod.deletedSince !== undefined || pod.cookieValue !== undefined;
    if (!marked) return this.#deletePod(key);
    if (isDeepStrictEqual(this.#pods.get(key), pod)) return NOTHING;
    this.#pods.set(key, pod);
    return this.#podChanged(pod);
  }

  delete({ kind, namespace, name }: ObjectRef): Effect {
    const key = objectKey(namespace, name);
    switch (kind) {
      case 'Ingress':
        return this.#delete(this.#ingresses, key);
      case 'IngressClass':
        return this.#delete(this.#ingressClasses, key);
      case 'Service':
        return this.#delete(this.#services, key);
      case 'Secret':
        return this.#delete(this.#secrets, key);
      case 'StickyPolicy':
        return merged(this.#delete(this.#policies, key), this.#delete(this.#refused, key));
      case 'EndpointSlice':
        return this.#deleteSlice(key);
      case 'Pod':
        // Its slices say that it is gone; until they do its version does not matter.
        if (this.#podVersions.delete(key)) this.#last = undefined;
        return this.#deletePod(key);
      default:
        return NOTHING;
    }
  }

  snapshot(): Snapshot {
    this.#last ??= {
      ingresses: this.#ingresses.freeze(),
      ingressClasses: this.#ingressClasses.freeze(),
      services: this.#services.freeze(),
      secrets: this.#secrets.freeze(),
      policies: this.#policies.freeze(),
      refusedPolicies: this.#refused.freeze(),
      slicesByService: this.#slicesByService.freeze(),
      pods: this.#pods.freeze(),
      podVersions: this.#podVersions.freeze(),
    };
    return this.#last;
  }

  /** An object that says what it said before (a resync, a rewritten file) changes nothing. */
  #set<T extends Resource>(map: SnapshotMap<T>, key: ObjectKey, resource: T): Effect {
    if (isDeepStrictEqual(map.get(key), resource)) return NOTHING;
    map.set(key, resource);
    this.#last = undefined;
    return ROUTES;
  }

  /** A refused policy leaves its last accepted generation in force. */
  #refuse(key: ObjectKey, policy: RefusedPolicy): Effect {
    return this.#policies.get(key) === undefined ? this.#set(this.#refused, key, policy) : NOTHING;
  }

  #accept(key: ObjectKey, policy: StickyPolicy): Effect {
    return merged(this.#delete(this.#refused, key), this.#set(this.#policies, key, policy));
  }

  #delete<T>(map: SnapshotMap<T>, key: ObjectKey): Effect {
    if (!map.delete(key)) return NOTHING;
    this.#last = undefined;
    return ROUTES;
  }

  #deletePod(key: ObjectKey): Effect {
    const pod = this.#pods.get(key);
    if (pod === undefined) return NOTHING;
    this.#pods.delete(key);
    return this.#podChanged(pod);
  }

  /** Marks change seldom, so the Services of a pod are looked for when one does. */
  #podChanged({ namespace, name }: Pod): Effect {
    this.#last = undefined;
    const services = new Set<ObjectKey>();
    for (const slice of this.#slices.values()) {
      if (slice.meta.namespace !== namespace) continue;
      const service = serviceOf(slice);
      if (service !== undefined && slice.endpoints.some(({ targetRef }) => targetRef?.name === name)) {
        services.add(service);
      }
    }
    return { routes: false, services: [...services] };
  }

  #setSlice(key: ObjectKey, slice: EndpointSlice): Effect {
    const before = this.#slices.get(key);
    if (isDeepStrictEqual(before, slice)) return NOTHING;
    const left = before !== undefined && serviceOf(before) !== serviceOf(slice) ? this.#deleteSlice(key).services : [];
    this.#slices.set(key, slice);
    const service = serviceOf(slice);
    if (service === undefined) return { routes: false, services: left };
    this.#awaitVersions(slice, service);
    const siblings = new Map(this.#slicesByService.get(service));
    this.#slicesByService.set(service, siblings.set(slice.meta.name, slice));
    this.#last = undefined;
    return { routes: false, services: [...left, service] };
  }

  /** Pods are nearly always told before their slices. Where no pod is told at all, none is waited for. */
  #awaitVersions({ meta, endpoints }: EndpointSlice, service: ObjectKey): void {
    if (!this.#versionsKnown) return;
    for (const { targetRef } of endpoints) {
      if (targetRef?.kind !== 'Pod') continue;
      const key = objectKey(targetRef.namespace || meta.namespace, targetRef.name);
      const known = this.#podVersions.get(key);
      if (known !== undefined && (targetRef.uid === '' || known.uid === targetRef.uid)) continue;
      if (this.#awaited.size >= MAX_AWAITED) this.#awaited.clear();
      this.#awaited.set(key, (this.#awaited.get(key) ?? new Set()).add(service));
    }
  }

  #deleteSlice(key: ObjectKey): Effect {
    const slice = this.#slices.get(key);
    this.#slices.delete(key);
    const service = slice === undefined ? undefined : serviceOf(slice);
    if (slice === undefined || service === undefined) return NOTHING;
    const siblings = new Map(this.#slicesByService.get(service));
    siblings.delete(slice.meta.name);
    if (siblings.size === 0) this.#slicesByService.delete(service);
    else this.#slicesByService.set(service, siblings);
    this.#last = undefined;
    return { routes: false, services: [service] };
  }
}

function merged(a: Effect, b: Effect): Effect {
  return a.routes || b.routes ? ROUTES : NOTHING;
}

/** undefined = the slice names no Service and is ignored. */
function serviceOf(slice: EndpointSlice): ObjectKey | undefined {
  return slice.service === '' ? undefined : objectKey(slice.meta.namespace, slice.service);
}
