/** Compiles a snapshot into the routing table: pure, and the same whatever order the snapshot's maps have. */
import { objectKey, type ObjectKey, type PoolKey } from '../model/ids.ts';
import type { Ingress } from '../model/resources.ts';
import type { Problem } from '../model/problem.ts';
import type { Snapshot } from '../model/snapshot.ts';
import type { CompiledStatus } from '../model/status.ts';
import type { Canary } from '../model/canary.ts';
import type { ProxyVersion } from '../model/ends.ts';
import type { PoolSpec, Route, RouteSplit, Table, VirtualHost } from '../model/table.ts';
import { policyFromAnnotations, readAnnotations } from '../api/annotations.ts';
import type { DraftRoute, Drafts } from './draft.ts';
import type { CompileOptions } from './options.ts';
import { Affinities } from './passes/affinities.ts';
import { Attachment, type IngressWishes } from './passes/attachment.ts';
import { Backends } from './passes/backends.ts';
import { Canaries } from './passes/canaries.ts';
import { Certificates } from './passes/certificates.ts';
import { ClientCertificates } from './passes/client-certificates.ts';
import { selectIngresses, watched } from './passes/classes.ts';
import { Hosts } from './passes/hosts.ts';
import { Splits } from './passes/splits.ts';
import { compileStatus } from './passes/status.ts';
import { NamedSecrets } from './passes/named-secrets.ts';
import { PolicyTargets } from './passes/targets.ts';
import { Transports } from './passes/transports.ts';
import { ProblemReport, refOf } from './report.ts';

export type { CompileOptions } from './options.ts';

export interface Compiled {
  readonly table: Table;
  /** Of the compilation alone; the sources and the projection report theirs to the store. */
  readonly problems: Problem[];
  /** What the objects' own status shall say once the table is live. */
  readonly status: CompiledStatus;
}

/** @param named every policy there is, when `snapshot` is a part of the whole: a name that leads nowhere is compared with theirs */
export function compile(snapshot: Snapshot, options: CompileOptions, named = snapshot.policies): Compiled {
  const report = new ProblemReport();
  const ingresses = selectIngresses(snapshot, options, report);
  const secrets = new NamedSecrets(snapshot.secrets, options);
  const transports = new Transports(secrets, report);
  const clients = new ClientCertificates(secrets, options, report);
  const access = { transports, clients };
  const { wishes, closed, asked, canaries: marked } = readWishes(ingresses, access, options, report);

  const backends = new Backends(snapshot.services, options.inCluster);
  const hosts = new Hosts(backends, closed, report);
  for (const ingress of ingresses) if (!marked.has(ingress)) hosts.add(ingress);
  const canaries = new Canaries(hosts, backends, clients, closed, report);
  for (const [ingress, canary] of marked) canaries.add(ingress, canary);
  const drafts = hosts.finish(options);

  const certificates = new Certificates(snapshot.secrets, options, report);
  for (const ingress of ingresses) certificates.add(ingress);

  const namespaces = watched(options);
  const targets = new PolicyTargets(snapshot, namespaces, report);
  const attachment = new Attachment(snapshot, targets, wishes);
  attachment.reportLoose(report, namespaces, named);

  const secured = ({ ingress, host }: DraftRoute): Partial<Route> => {
    const wanted = ingress && asked.get(ingress);
    if (ingress === undefined || wanted === undefined) return {};
    const transport = transports.of(ingress);
    const clientVerification = clients.of(ingress);
    const redirects = wanted.redirect && host !== undefined && certificates.covers(ingress, host);
    return {
      ...(redirects ? { redirectsToHttps: true } : {}),
      ...(wanted.hsts === undefined ? {} : { hsts: wanted.hsts }),
      ...(wanted.sendProxyProtocol === undefined ? {} : { sendProxyProtocol: wanted.sendProxyProtocol }),
      ...(transport === undefined ? {} : { transport }),
      ...(clientVerification && { clientVerification }),
    };
  };
  const splits = new Splits(backends, report);
  const { collisions, ...attached } = attach(drafts, attachment, { splits, canaries }, secured, report, options);
  const table = {
    ...attached,
    pools: poolsOf(drafts, [...splits.pools(), ...canaries.pools()]),
    ...certificates.finish(),
    upstreamTls: transports.tls,
    ...clients.finish(),
  };
  reportUnseenReadiness(table, snapshot, report);
  const routes = allDrafts(drafts);
  const { policies } = table;
  const status = compileStatus({
    snapshot,
    watched: namespaces,
    ingresses,
    routes,
    wishes,
    targets,
    splits,
    canaries,
    collisions,
    policies,
    podMetadata: options.podMetadata,
  });
  return { table, problems: report.sorted(), status };
}

/** What an Ingress asks for about HTTPS, and about what connections to its endpoints begin with. */
interface Asked {
  readonly redirect: boolean;
  readonly hsts: string | undefined;
  readonly sendProxyProtocol: ProxyVersion | undefined;
}

const COVERED =
  'The policy of the primary Ingress covers its canary, so what the annotations here say about sessions has no effect; remove it.';

/** What the annotations ask for, which Ingresses are canaries, and which ones they close: one that restricts access and cannot be honoured must not let anybody in. */
function readWishes(
  ingresses: readonly Ingress[],
  { transports, clients }: { readonly transports: Transports; readonly clients: ClientCertificates },
  options: CompileOptions,
  report: ProblemReport,
): {
  wishes: Map<Ingress, IngressWishes>;
  closed: Set<Ingress>;
  asked: Map<Ingress, Asked>;
  /** Oldest first. */
  canaries: Map<Ingress, Canary>;
} {
  const wishes = new Map<Ingress, IngressWishes>();
  const closed = new Set<Ingress>();
  const asked = new Map<Ingress, Asked>();
  const canaries = new Map<Ingress, Canary>();
  for (const ingress of ingresses) {
    const { settings, problems, closes, canary, backend } = readAnnotations(ingress.meta, refOf(ingress), options);
    report.addAll(problems);
    const wish = { policyName: settings.stickyPolicy, spec: policyFromAnnotations(settings) };
    const idle = canary !== undefined && (wish.policyName ?? wish.spec) !== undefined;
    if (idle) report.warning(ingress, 'metadata.annotations', COVERED);
    wishes.set(ingress, canary === undefined ? wish : { policyName: undefined, spec: undefined });
    const served = transports.add(ingress, backend);
    if (!clients.add(ingress, settings) || !served || closes) closed.add(ingress);
    const { sslRedirect, hsts, sendProxyProtocol } = settings;
    asked.set(ingress, { redirect: sslRedirect !== false, hsts, sendProxyProtocol });
    if (canary !== undefined) canaries.set(ingress, canary);
  }
  return { wishes, closed, asked, canaries };
}

/** Gives every route its affinity; those of policies that turn out to collide stay without. */
function attach(
  drafts: Drafts,
  attachment: Attachment,
  { splits, canaries }: { readonly splits: Splits; readonly canaries: Canaries },
  secured: (draft: DraftRoute) => Partial<Route>,
  report: ProblemReport,
  { podMetadata }: CompileOptions,
): Pick<Table, 'hosts' | 'fallback' | 'policies' | 'affinities'> & { collisions: ReadonlyMap<string, string> } {
  const uses = new Affinities();
  const wanted = new Map<DraftRoute, string>();
  const wantedSplits = new Map<DraftRoute, readonly RouteSplit[]>();
  for (const draft of allDrafts(drafts)) {
    const { pool, service, host = '', closed } = draft;
    const applied = closed ? undefined : attachment.policyOf(draft);
    if (applied === undefined) continue;
    const divided = splits.of(applied);
    if (divided.length > 0) {
      wantedSplits.set(
        draft,
        divided.map((split) => ({
          rule: split.rule,
          affinity: uses.useSplit(applied, split, host),
          services: split.pools.map((spec) => spec.service),
        })),
      );
    }
    if (pool !== undefined && !divided.some(({ always }) => always))
      wanted.set(draft, uses.use(applied, service, host, pool.key, canaries.of(draft)?.pool.key));
  }
  const { affinities, policies, collisions } = uses.finish(report, podMetadata);

  const route = (draft: DraftRoute): Route => {
    const affinity = wanted.get(draft);
    const canary = canaries.of(draft);
    const divided = wantedSplits.get(draft)?.filter((split) => affinities.has(split.affinity)) ?? [];
    return {
      namespace: draft.namespace,
      ingress: draft.ingress?.meta.name ?? '',
      path: draft.path,
      pathType: draft.pathType,
      service: draft.service,
      pool: draft.pool?.key,
      affinity: affinity !== undefined && affinities.has(affinity) ? affinity : undefined,
      ...secured(draft),
      ...(divided.length > 0 ? { splits: divided } : {}),
      ...(canary && { canary: { ...canary.canary, service: canary.pool.service, pool: canary.pool.key } }),
    };
  };
  const hosts = new Map<string, VirtualHost>();
  for (const { host, routes, fallback } of drafts.hosts.values()) {
    hosts.set(host, { host, routes: routes.map(route), fallback: fallback && route(fallback) });
  }
  return { hosts, fallback: drafts.fallback && route(drafts.fallback), policies, affinities, collisions };
}

/** Only pools that some route leads to are built and sent to the workers. */
function poolsOf(drafts: Drafts, others: readonly PoolSpec[]): Map<PoolKey, PoolSpec> {
  const pools = new Map<PoolKey, PoolSpec>();
  for (const { pool } of allDrafts(drafts)) if (pool !== undefined) pools.set(pool.key, pool);
  for (const pool of others) pools.set(pool.key, pool);
  return pools;
}

function* allDrafts({ hosts, fallback }: Drafts): Generator<DraftRoute> {
  for (const host of hosts.values()) {
    yield* host.routes;
    if (host.fallback !== undefined) yield host.fallback;
  }
  if (fallback !== undefined) yield fallback;
}

/** With publishNotReadyAddresses every endpoint says it is ready, so a session never leaves a pod that is not. */
function reportUnseenReadiness(table: Table, snapshot: Snapshot, report: ProblemReport): void {
  const told = new Set<string>();
  for (const key of stickyServices(table)) {
    const object = snapshot.services.get(key);
    if (object?.publishNotReadyAddresses !== true || told.has(key)) continue;
    told.add(key);
    const message =
      'With publishNotReadyAddresses every pod counts as ready, so sessions stay with pods that are not; remove it, or use another Service for HTTP traffic.';
    report.warning(object, 'spec.publishNotReadyAddresses', message);
  }
}

function* stickyServices({ affinities, policies, pools }: Table): Generator<ObjectKey> {
  for (const { policy, service, splits = [], canaries = [] } of affinities.values()) {
    yield objectKey(policies.get(policy)?.namespace ?? '', service);
    const divided = splits.flatMap(({ backends }) => backends.map(({ pool }) => pool));
    for (const pool of [...divided, ...canaries]) yield pools.get(pool)?.serviceKey ?? '';
  }
}
