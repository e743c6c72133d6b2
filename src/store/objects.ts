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
  /** Services with an endpoint whose pod's version is not known: few, as pods are nearly always told before their slices. */
  readonly #unversioned = new Set<ObjectKey>();
  #last: Snapshot | undefined;
  /** Somebody has a snapshot. Until then nothing needs to be built anew, and the kinds come in any order. */
  #taken = false;

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
    const { version, created } = now;
    this.#podVersions.set(key, { version, created, uid });
    this.#last = undefined;
    if (!this.#taken) return NOTHING;
    const services = this.#servicesOf({ namespace, name, uid }, this.#unversioned);
    for (const service of services) this.#noteUnversioned(service);
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
    if (!this.#taken) {
      this.#taken = true;
      for (const service of this.#slicesByService.freeze().keys()) this.#noteUnversioned(service);
    }
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
    return {
      routes: false,
      services: this.#servicesOf({ namespace, name, uid: '' }, this.#slicesByService.freeze().keys()),
    };
  }

  /** Those of the Services whose slices name the pod; without a uid also one of the same name. */
  #servicesOf(pod: { namespace: string; name: string; uid: string }, services: Iterable<ObjectKey>): ObjectKey[] {
    const names = ({ meta, endpoints }: EndpointSlice): boolean =>
      meta.namespace === pod.namespace &&
      endpoints.some(({ targetRef }) => targetRef?.name === pod.name && sameUid(pod.uid, targetRef.uid));
    return Iterator.from(services)
      .filter((service) => this.#slicesByService.get(service)?.values().some(names))
      .toArray();
  }

  #setSlice(key: ObjectKey, slice: EndpointSlice): Effect {
    const before = this.#slices.get(key);
    if (isDeepStrictEqual(before, slice)) return NOTHING;
    const left = before !== undefined && serviceOf(before) !== serviceOf(slice) ? this.#deleteSlice(key).services : [];
    this.#slices.set(key, slice);
    const service = serviceOf(slice);
    if (service === undefined) return { routes: false, services: left };
    const siblings = new Map(this.#slicesByService.get(service));
    this.#slicesByService.set(service, siblings.set(slice.meta.name, slice));
    if (this.#taken) this.#noteUnversioned(service);
    this.#last = undefined;
    return { routes: false, services: [...left, service] };
  }

  #noteUnversioned(service: ObjectKey): void {
    if (
      this.#slicesByService
        .get(service)
        ?.values()
        .every((slice) => this.#knowsVersions(slice)) === false
    ) {
      this.#unversioned.add(service);
    } else {
      this.#unversioned.delete(service);
    }
  }

  /** Whether the versions of all pods in the slice are known. */
  #knowsVersions({ meta, endpoints }: EndpointSlice): boolean {
    return endpoints.every(({ targetRef }) => {
      if (targetRef?.kind !== 'Pod') return true;
      const known = this.#podVersions.get(objectKey(targetRef.namespace || meta.namespace, targetRef.name));
      return known !== undefined && sameUid(known.uid, targetRef.uid);
    });
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
    if (this.#taken) this.#noteUnversioned(service);
    this.#last = undefined;
    return { routes: false, services: [service] };
  }
}

function merged(a: Effect, b: Effect): Effect {
  return a.routes || b.routes ? ROUTES : NOTHING;
}

/** An empty one is not known. */
function sameUid(a: string, b: string): boolean {
  return a === '' || b === '' || a === b;
}

/** undefined = the slice names no Service and is ignored. */
function serviceOf(slice: EndpointSlice): ObjectKey | undefined {
  return slice.service === '' ? undefined : objectKey(slice.meta.namespace, slice.service);
}
