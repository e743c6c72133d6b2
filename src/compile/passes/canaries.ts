/** Pass 3, second half: canary Ingresses: each joins the routes of the Ingress that has the same host and path. */
import type { Canary } from '../../model/canary.ts';
import type { Ingress, IngressPath } from '../../model/resources.ts';
import type { PoolSpec } from '../../model/table.ts';
import type { DraftRoute } from '../draft.ts';
import { nameOf, type ProblemReport } from '../report.ts';
import { isFault, type Backends } from './backends.ts';
import type { ClientCertificates } from './client-certificates.ts';
import type { Hosts } from './hosts.ts';

/** Where some of a route's requests go instead. */
export interface DraftCanary {
  readonly ingress: Ingress;
  readonly pool: PoolSpec;
  readonly canary: Canary;
}

export class Canaries {
  readonly #of = new Map<DraftRoute, DraftCanary>();
  readonly #hosts: Hosts;
  readonly #backends: Backends;
  readonly #clients: ClientCertificates;
  readonly #closed: ReadonlySet<Ingress>;
  readonly #report: ProblemReport;

  constructor(
    hosts: Hosts,
    backends: Backends,
    clients: ClientCertificates,
    closed: ReadonlySet<Ingress>,
    report: ProblemReport,
  ) {
    this.#hosts = hosts;
    this.#backends = backends;
    this.#clients = clients;
    this.#closed = closed;
    this.#report = report;
  }

  /** To be called oldest first, when all other Ingresses have been added to the hosts. */
  add(ingress: Ingress, canary: Canary): void {
    if (ingress.hasDefaultBackend)
      this.#report.error(
        ingress,
        'spec.defaultBackend',
        'A canary is one of hosts and paths, so this has no effect; name the paths in `rules`.',
      );
    for (const rule of ingress.rules) {
      for (const path of rule.paths) {
        const field = `spec.rules[${rule.index}].http.paths[${path.index}]`;
        const pool = this.#poolOf(ingress, path, field);
        const route = this.#primaryOf(ingress, rule.host, path, field);
        if (pool !== undefined && route?.pool !== undefined) this.#of.set(route, { ingress, pool, canary });
      }
    }
  }

  of(route: DraftRoute): DraftCanary | undefined {
    return this.#of.get(route);
  }

  *pools(): Generator<PoolSpec> {
    for (const { pool } of this.#of.values()) yield pool;
  }

  #poolOf(ingress: Ingress, { backend }: IngressPath, field: string): PoolSpec | undefined {
    // Without a backend the projection has said why; what is closed lets nobody in.
    if (backend === undefined || this.#closed.has(ingress)) return undefined;
    const { namespace } = ingress.meta;
    const found = this.#backends.resolve(namespace, backend, 'the primary Ingress serves all until it exists');
    if (!isFault(found)) return found;
    this.#report.error(ingress, `${field}.backend.service.${found.part}`, found.message);
    return undefined;
  }

  #primaryOf(ingress: Ingress, host: string, path: IngressPath, field: string): DraftRoute | undefined {
    const route = this.#hosts.routeOf(host, path);
    const taken = route === undefined ? undefined : this.#of.get(route);
    let message: string | undefined;
    if (route?.ingress === undefined)
      message = `No Ingress has the path ${path.path} (${path.pathType}) of this host, so there is nothing to be a canary of; write the same host, path and pathType as in the primary Ingress.`;
    else if (route.namespace !== ingress.meta.namespace)
      message = `${nameOf(route.ingress)} has this path, and a canary of it must be in its namespace; create it there.`;
    else if (taken !== undefined)
      message = `${nameOf(taken.ingress)} comes first (the older, then by name) and already is the canary of this path; this one is not used. Remove one of them.`;
    else if (!this.#clients.covers(route.ingress, ingress))
      message = `${nameOf(route.ingress)} does not ask clients for certificates as this Ingress does, and its canary would be open to them; write the same annotations there.`;
    if (message === undefined) return route;
    this.#report.error(ingress, `${field}.path`, message);
    return undefined;
  }
}
