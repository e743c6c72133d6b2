/** Builds a pool from the EndpointSlices of its Service: one endpoint a pod, whatever slices, families or ports it stands in. */
import { objectKey, type ObjectKey } from '../model/ids.ts';
import { formatIp, parseIp, type Ip } from '../model/ip.ts';
import { hostPort, identityOf, type Endpoint, type EndpointState, type Pool } from '../model/pool.ts';
import type { Problem } from '../model/problem.ts';
import type { EndpointSlice, Pod, PodVersion, SliceEndpoint } from '../model/resources.ts';
import type { KnownVersion } from '../model/snapshot.ts';
import type { PoolSpec } from '../model/table.ts';
import { compareText } from './order.ts';
import { problemOf } from './report.ts';

/** An endpoint before its `since` is known. */
interface Candidate extends Omit<Endpoint, 'since' | 'wasReady' | 'cookieValue' | 'version'> {
  /** When draining began as the pod's metadata says; undefined = it does not say, or the endpoint does not drain. */
  readonly drainStart: number | undefined;
  readonly cookieValue: string | undefined;
  readonly version: PodVersion | undefined;
  /** Of the family the Service prefers. */
  readonly preferred: boolean;
}

const NO_PODS: ReadonlyMap<ObjectKey, Pod> = new Map();
const NO_VERSIONS: ReadonlyMap<ObjectKey, KnownVersion> = new Map();

/** Higher is better: of several entries of one pod the best state counts. */
const RANK: Readonly<Record<EndpointState, number>> = { Ready: 2, Draining: 1, NotReady: 0 };

/**
 * @param slices of the pool's Service, in any order
 * @param previous the pool as it was: an endpoint of the same identity and state keeps its `since`
 * @param now wall clock, ms since the epoch
 * @param versions of pods, by key
 * @param pods marked ones, by key: a ready endpoint of a pod drained by hand is Draining
 */
export function buildPool(
  spec: PoolSpec,
  slices: Iterable<EndpointSlice>,
  previous: Pool | undefined,
  now: number,
  pods: ReadonlyMap<ObjectKey, Pod> = NO_PODS,
  versions: ReadonlyMap<ObjectKey, KnownVersion> = NO_VERSIONS,
): { pool: Pool; problems: Problem[] } {
  const problems: Problem[] = [];
  const ordered = [...slices].sort((a, b) => compareText(a.meta.name, b.meta.name));
  const candidates = ordered.flatMap((slice) => readSlice(spec, slice, pods, versions, problems));
  if (candidates.length === 0) reportMissingPort(spec, ordered, problems);

  const before = new Map(previous?.endpoints.map((endpoint) => [identityOf(endpoint, 'PodUID'), endpoint]));
  const merged = mergeAddresses(mergePods(candidates));
  const endpoints = merged.map((candidate): Endpoint => {
    const { address, port, state, drainStart, pod, cookieValue, podNamespace, podUid } = candidate;
    const known = before.get(identityOf(candidate, 'PodUID'));
    // Of what was there before us nobody knows since when, and it is not new.
    const first = previous === undefined && state === 'Ready' ? 0 : now;
    const seen = known?.state === state ? known.since : first;
    // A clock ahead of ours must not put the start into the future.
    const since = state === 'Draining' && drainStart !== undefined ? Math.min(drainStart, now) : seen;
    const wasReady = state !== 'NotReady' || known?.wasReady === true;
    const version = candidate.version?.version;
    return { address, port, state, since, wasReady, pod, cookieValue, version, podNamespace, podUid };
  });
  endpoints.sort((a, b) => compareText(addressOf(a), addressOf(b)));
  reportEqualValues(spec, ordered, endpoints, problems);
  const { key, namespace, service, port, portName, protocol } = spec;
  const named = { ...(portName === '' ? {} : { portName }), ...(protocol && { protocol }) };
  const newest = newestOf(merged);
  return { pool: { key, namespace, service, port, ...named, endpoints, ...(newest && { newest }) }, problems };
}

/** Of two pods made in the same second the same one on every replica. */
function newestOf(candidates: readonly Candidate[]): string | undefined {
  let newest: PodVersion | undefined;
  for (const { version } of candidates) {
    if (version === undefined) continue;
    const later = newest === undefined ? 1 : version.created - newest.created;
    if (later > 0 || (later === 0 && version.version > (newest?.version ?? ''))) newest = version;
  }
  return newest?.version;
}

/** undefined = gone: terminating and not serving any more. Null means ready, serving as ready, not terminating (EndpointSlice v1 API reference). */
export function endpointState({ ready, serving, terminating }: SliceEndpoint): EndpointState | undefined {
  const isReady = ready ?? true;
  if (terminating ?? false) return (serving ?? isReady) ? 'Draining' : undefined;
  return isReady ? 'Ready' : 'NotReady';
}

function readSlice(
  spec: PoolSpec,
  slice: EndpointSlice,
  pods: ReadonlyMap<ObjectKey, Pod>,
  versions: ReadonlyMap<ObjectKey, KnownVersion>,
  problems: Problem[],
): Candidate[] {
  if (slice.addressType === 'FQDN') {
    problems.push(
      problemOf('error', slice, 'addressType', 'FQDN slices are not served; write IPv4 or IPv6 addresses.'),
    );
    return [];
  }
  const port = slice.ports.find(({ name, protocol }) => name === spec.portName && protocol === 'TCP');
  if (port === undefined) return [];
  if (port.port === undefined) {
    problems.push(
      problemOf(
        'error',
        slice,
        `ports[${port.index}].port`,
        'The port has no number, so there is nothing to dial; write one.',
      ),
    );
    return [];
  }
  const candidates: Candidate[] = [];
  for (const endpoint of slice.endpoints) {
    const state = endpointState(endpoint);
    if (state === undefined) continue;
    const text = endpoint.address;
    const ip = parseIp(text);
    const fault = ip === undefined ? 'is no IP address' : spec.refuseLocal === true ? localFault(ip) : undefined;
    if (ip === undefined || fault !== undefined) {
      const message = `${JSON.stringify(text)} ${fault}, so it is not dialled; write the address of a pod or a host.`;
      problems.push(problemOf('error', slice, `endpoints[${endpoint.index}].addresses[0]`, message));
      continue;
    }
    candidates.push(
      makeCandidate(
        spec,
        endpoint,
        ip,
        port.port,
        marksOf(slice, endpoint, state, pods),
        versionOf(slice, endpoint, versions),
      ),
    );
  }
  return candidates;
}

type Marked = Pick<Candidate, 'state' | 'drainStart' | 'cookieValue'>;

/** What its pod's annotations make of an endpoint: one drained by hand goes on as long as it is ready. */
function marksOf(
  { meta }: EndpointSlice,
  { targetRef }: SliceEndpoint,
  state: EndpointState,
  pods: ReadonlyMap<ObjectKey, Pod>,
): Marked {
  const pod =
    targetRef?.kind === 'Pod' ? pods.get(objectKey(targetRef.namespace || meta.namespace, targetRef.name)) : undefined;
  // The mark of a pod that is gone is not that of its namesake (a StatefulSet's pods keep their names).
  if (pod === undefined || (targetRef?.uid !== '' && pod.uid !== targetRef?.uid)) {
    return { state, drainStart: undefined, cookieValue: undefined };
  }
  const { cookieValue } = pod;
  if (state === 'NotReady') return { state, drainStart: undefined, cookieValue };
  const marked = pod.drainedSince !== undefined;
  const since = pod.drainedSince || (state === 'Draining' ? pod.deletedSince : undefined);
  return { state: marked ? 'Draining' : state, drainStart: since, cookieValue };
}

function versionOf(
  { meta }: EndpointSlice,
  { targetRef }: SliceEndpoint,
  versions: ReadonlyMap<ObjectKey, KnownVersion>,
): PodVersion | undefined {
  if (targetRef?.kind !== 'Pod' || versions.size === 0) return undefined;
  const known = versions.get(objectKey(targetRef.namespace || meta.namespace, targetRef.name));
  return targetRef.uid === '' || known?.uid === targetRef.uid ? known : undefined;
}

function makeCandidate(
  spec: PoolSpec,
  { address: text, targetRef }: SliceEndpoint,
  ip: Ip,
  port: number,
  { state, drainStart, cookieValue }: Marked,
  version: PodVersion | undefined,
): Candidate {
  const formatted = formatIp(ip);
  // The slice's own string where it says the same: one copy in memory instead of two.
  const address = formatted === text ? text : formatted;
  return {
    address,
    port,
    state,
    drainStart,
    pod: targetRef?.name ?? hostPort(address, port),
    cookieValue,
    version,
    podNamespace: targetRef?.namespace ?? '',
    podUid: targetRef?.uid ?? '',
    preferred: spec.ipFamily === undefined || spec.ipFamily === (ip.version === 6 ? 'IPv6' : 'IPv4'),
  };
}

/** One candidate a pod: the address to dial from the preferred family, the best state of all its entries. */
function mergePods(candidates: readonly Candidate[]): Candidate[] {
  const byPod = new Map<string, Candidate>();
  for (const candidate of candidates) {
    // Without a UID the name tells pods apart; without either, the address.
    const key = identityOf(candidate, candidate.podUid === '' ? 'PodName' : 'PodUID');
    const known = byPod.get(key);
    if (known === undefined) byPod.set(key, candidate);
    else {
      const dialled = isBetterAddress(candidate, known) ? candidate : known;
      const drainStart = known.drainStart ?? candidate.drainStart;
      byPod.set(key, { ...dialled, drainStart, state: betterState(known.state, candidate.state) });
    }
  }
  return [...byPod.values()];
}

/**
 * One candidate an address: a second entry without a targetRef is the same endpoint, and of two pods that claim one
 * address (a new pod that took over the address of one just gone) only the one in the better state can be there.
 */
function mergeAddresses(candidates: readonly Candidate[]): Candidate[] {
  const byAddress = new Map<string, Candidate>();
  for (const candidate of candidates) {
    const key = addressOf(candidate);
    const known = byAddress.get(key);
    if (known === undefined) byAddress.set(key, candidate);
    else if (hasPod(known) === hasPod(candidate))
      byAddress.set(key, compareClaims(candidate, known) < 0 ? candidate : known);
    else {
      const pod = hasPod(candidate) ? candidate : known;
      byAddress.set(key, { ...pod, state: betterState(known.state, candidate.state) });
    }
  }
  return [...byAddress.values()];
}

function addressOf(endpoint: Parameters<typeof identityOf>[0]): string {
  return identityOf(endpoint, 'Address');
}

function hasPod({ podNamespace }: Candidate): boolean {
  return podNamespace !== '';
}

function compareClaims(a: Candidate, b: Candidate): number {
  return RANK[b.state] - RANK[a.state] || compareText(identityOf(a, 'PodUID'), identityOf(b, 'PodUID'));
}

/** The preferred family, then the better state, then the same one on every replica. */
function isBetterAddress(a: Candidate, b: Candidate): boolean {
  if (a.preferred !== b.preferred) return a.preferred;
  return (RANK[b.state] - RANK[a.state] || compareText(addressOf(a), addressOf(b))) < 0;
}

function betterState(a: EndpointState, b: EndpointState): EndpointState {
  return RANK[a] >= RANK[b] ? a : b;
}

/** Addresses that would lead to the proxy itself or its node (RFC 1122 section 3.2.1.3, RFC 3927, RFC 4291). */
function localFault({ version, words }: Ip): string | undefined {
  const [first = 0, second = 0, third = 0, fourth = 0] = words;
  if (version === 4) {
    if (first >>> 24 === 127) return 'is a loopback address';
    if (first >>> 24 === 0) return 'is an unspecified address';
    return first >>> 16 === 0xa9fe ? 'is a link-local address' : undefined;
  }
  if (first === 0 && second === 0 && third === 0 && fourth <= 1) {
    return fourth === 1 ? 'is a loopback address' : 'is an unspecified address';
  }
  return first >>> 22 === 0xfe80 >>> 6 ? 'is a link-local address' : undefined;
}

/** Cookies of format Plain cannot tell such endpoints apart. */
function reportEqualValues(
  spec: PoolSpec,
  slices: readonly EndpointSlice[],
  endpoints: readonly Endpoint[],
  problems: Problem[],
): void {
  const byValue = new Map<string, string>();
  for (const { pod, cookieValue } of endpoints) {
    const value = cookieValue ?? pod;
    const other = byValue.get(value);
    byValue.set(value, pod);
    const [slice] = slices;
    if (other === undefined || slice === undefined) continue;
    const message = `The pods ${[other, pod].sort().join(' and ')} of Service ${spec.serviceKey} have the cookie value "${value}", so cookies of format Plain lead to the first of them that is ready; write another \`holdfast.dev/cookie-value\` on one of them.`;
    problems.push(problemOf('warning', slice, 'endpoints', message));
  }
}

/** Slices with endpoints but none with the Service's port: nearly always a name that differs by mistake. */
function reportMissingPort(spec: PoolSpec, slices: readonly EndpointSlice[], problems: Problem[]): void {
  const slice = slices.find(({ addressType, endpoints }) => addressType !== 'FQDN' && endpoints.length > 0);
  const named = slices.some(({ ports }) => ports.some(({ name }) => name === spec.portName));
  if (slice === undefined || named) return;
  const wanted = spec.portName === '' ? 'without a name' : `named "${spec.portName}"`;
  const message = `Service ${spec.serviceKey} needs a TCP port ${wanted} here, as in its own port ${spec.port}; without it the Service has no endpoints.`;
  problems.push(problemOf('warning', slice, 'ports', message));
}
