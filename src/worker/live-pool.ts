/** One pool as a worker has it, made of what the main thread says of it. */
import { plainIdOf } from '../affinity/plain.ts';
import type { IdentityKind } from '../model/ids.ts';
import { DRAINING, READY } from '../model/live.ts';
import type { IdentityView, LiveEndpoint, LivePool, LiveService } from '../model/live.ts';
import type { EndpointData, IdentityData, PoolData } from '../shared/messages.ts';

/** As a literal: what comes out of a message keeps half of its fields in an array beside the object, slower and larger. */
function compact(endpoint: EndpointData, service: LiveService): LiveEndpoint {
  const { slot, ref, address, port, pod, cookieValue, version, state, since, wasReady } = endpoint;
  return { slot, ref, address, port, service, pod, cookieValue, version, state, since, wasReady };
}

/** 0, 1, …, by length: nearly all pools have all their endpoints Ready and none draining, and thousands of typed arrays are megabytes. */
const FIRST_INDICES = new Map<number, Int32Array>();

function firstIndices(length: number): Int32Array {
  const known = FIRST_INDICES.get(length);
  if (known !== undefined) return known;
  const made = Int32Array.from({ length }, (_, i) => i);
  FIRST_INDICES.set(length, made);
  return made;
}

/** `before`: the pool as it was; `grace`: ms for which it is remembered who has left it. */
export function livePool(data: PoolData, now: number, before: LivePool | undefined, grace: number): LivePool {
  const states = data.endpoints.map((endpoint) => endpoint.state);
  const indicesOf = (state: number): Int32Array => {
    const indices = [...states.keys()].filter((i) => states[i] === state);
    const { length } = indices;
    return length === 0 || length === states.length ? firstIndices(length) : Int32Array.from(indices);
  };
  const service = { namespace: data.namespace, name: data.service, protocol: data.protocol ?? 'HTTP' };
  const live = {
    key: data.key,
    slot: data.slot,
    namespace: data.namespace,
    service: data.service,
    port: data.port,
    portName: data.portName,
    endpoints: data.endpoints.map((endpoint) => compact(endpoint, service)),
    newest: data.newest,
    ready: indicesOf(READY),
    draining: indicesOf(DRAINING),
    identity: {
      PodUID: identityView(data.identity.PodUID),
      PodName: identityView(data.identity.PodName),
      Address: identityView(data.identity.Address),
    },
    firstSeen: before?.firstSeen ?? now,
    left: NOBODY,
  };
  return before === undefined || grace === 0 ? live : { ...live, left: whoLeft(before, live, now, grace) };
}

const NOBODY: ReadonlyMap<string, number> = new Map();

/** Those who have left lately, and those who leave now; who has come back may still be starting, and is not taken out. */
function whoLeft(before: LivePool, after: LivePool, now: number, grace: number): ReadonlyMap<string, number> {
  const left = new Map([...before.left].filter(([, at]) => now - at < grace));
  for (const [kind, { byPrefix }] of Object.entries(before.identity)) {
    const there = after.identity[kind as IdentityKind].byPrefix;
    for (const prefix of byPrefix.keys()) if (!there.has(prefix)) left.set(prefix, now);
  }
  const ids = new Set(after.endpoints.map(plainIdOf));
  for (const id of before.endpoints.map(plainIdOf)) if (!ids.has(id)) left.set(id, now);
  return left.size === 0 ? NOBODY : left;
}

/** Of kinds that no policy in force uses. */
const NO_VIEW: IdentityView = { seeds: firstIndices(0), byPrefix: new Map(), prefixes: new Map() };

function identityView(data: IdentityData | undefined): IdentityView {
  if (data === undefined) return NO_VIEW;
  const byPrefix = new Map<string, number>();
  for (const [, prefixes] of data.prefixes) for (const [i, prefix] of prefixes.entries()) byPrefix.set(prefix, i);
  return { seeds: data.seeds, byPrefix, prefixes: new Map(data.prefixes) };
}
