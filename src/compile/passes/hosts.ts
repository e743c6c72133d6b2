/** Pass 3: the rules of all Ingresses, merged into one list of routes per host; of two with the same host and path the older wins. */
import type { BackendRef, Ingress, IngressPath, IngressRule, PathType } from '../../model/resources.ts';
import { parseIp } from '../../model/ip.ts';
import { pathKey } from '../../match/path-index.ts';
import { HOSTLESS_SECTION, type DraftHost, type DraftRoute, type Drafts } from '../draft.ts';
import type { CompileOptions } from '../options.ts';
import { nameOf, type ProblemReport } from '../report.ts';
import { isFault, type Backends } from './backends.ts';

/** RFC 1123 labels, as the Kubernetes API asks for; at most one leading `*.`. */
const HOST = /^(?:\*\.)?[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*$/;
const MAX_HOST = 253;

/** Lower case, without one trailing dot. */
export function normalizeRuleHost(host: string): string {
  const lower = host.toLowerCase();
  return lower.endsWith('.') ? lower.slice(0, -1) : lower;
}

export class Hosts {
  readonly #hosts = new Map<string, DraftHost>();
  /** The route of each host + path type + path. */
  readonly #routes = new Map<string, DraftRoute>();
  readonly #backends: Backends;
  readonly #closed: ReadonlySet<Ingress>;
  readonly #report: ProblemReport;
  #fallback: DraftRoute | undefined;

  /** Routes of `closed` Ingresses stay, without a pool. */
  constructor(backends: Backends, closed: ReadonlySet<Ingress>, report: ProblemReport) {
    this.#backends = backends;
    this.#closed = closed;
    this.#report = report;
  }

  /** To be called oldest first. */
  add(ingress: Ingress): void {
    const hosts = new Set<DraftHost>();
    for (const rule of ingress.rules) {
      const host = this.#hostOf(ingress, rule);
      if (host === undefined) continue;
      hosts.add(host);
      this.#addPaths(ingress, rule, host);
    }
    if (ingress.hasDefaultBackend) this.#addDefault(ingress, hosts);
  }

  /** `host`: as a rule has it. */
  routeOf(host: string, { path, pathType }: IngressPath): DraftRoute | undefined {
    return this.#routes.get(claimOf(normalizeRuleHost(host), path, pathType));
  }

  finish(options: CompileOptions): Drafts {
    return { hosts: this.#hosts, fallback: this.#fallback ?? this.#flagBackend(options) };
  }

  #hostOf(ingress: Ingress, rule: IngressRule): DraftHost | undefined {
    const host = normalizeRuleHost(rule.host);
    const fault = host === '' ? undefined : hostFault(host);
    if (fault !== undefined) {
      this.#report.error(
        ingress,
        `spec.rules[${rule.index}].host`,
        `The rule for ${JSON.stringify(rule.host)} is left out: ${fault}`,
      );
      return undefined;
    }
    const known = this.#hosts.get(host);
    if (known !== undefined) return known;
    const made: DraftHost = { host, routes: [], fallback: undefined };
    this.#hosts.set(host, made);
    return made;
  }

  #addPaths(ingress: Ingress, rule: IngressRule, { host, routes }: DraftHost): void {
    for (const { path, pathType, backend, index } of rule.paths) {
      const field = `spec.rules[${rule.index}].http.paths[${index}]`;
      const claim = claimOf(host, path, pathType);
      const first = this.#routes.get(claim);
      if (first !== undefined) {
        this.#reportTaken(ingress, first.ingress, `${field}.path`, `path ${path} (${pathType}) of ${hostText(host)}`);
        continue;
      }
      const section = host === '' ? HOSTLESS_SECTION : host;
      const route = { ...this.#target(ingress, backend, `${field}.backend`), host, section, path, pathType };
      this.#routes.set(claim, route);
      routes.push(route);
    }
  }

  #addDefault(ingress: Ingress, hosts: ReadonlySet<DraftHost>): void {
    const field = 'spec.defaultBackend';
    // An Ingress all of whose rules are refused must not become everybody's default.
    if (ingress.hasRules && hosts.size === 0) return;
    const target = this.#target(ingress, ingress.defaultBackend, field);
    const base = { ...target, section: HOSTLESS_SECTION, path: '', pathType: 'Prefix' } as const;
    if (hosts.size === 0) {
      if (this.#fallback === undefined) this.#fallback = { ...base, host: undefined };
      else this.#reportTaken(ingress, this.#fallback.ingress, field, 'the default backend of everything unmatched');
      return;
    }
    for (const draft of hosts) {
      if (draft.fallback === undefined) draft.fallback = { ...base, host: draft.host };
      else this.#reportTaken(ingress, draft.fallback.ingress, field, `the default backend of ${hostText(draft.host)}`);
    }
  }

  #target(
    ingress: Ingress,
    backend: BackendRef,
    field: string,
  ): Pick<DraftRoute, 'namespace' | 'ingress' | 'service' | 'pool' | 'closed'> {
    const { namespace } = ingress.meta;
    const service = backend?.service ?? '';
    const closed = this.#closed.has(ingress);
    // Without a backend the projection has said why.
    if (backend === undefined) return { namespace, ingress, service, pool: undefined, closed };
    const found = this.#backends.resolve(namespace, backend);
    if (isFault(found)) {
      this.#report.error(
        ingress,
        found.part === 'name' ? `${field}.service.name` : `${field}.service.port`,
        found.message,
      );
      return { namespace, ingress, service, pool: undefined, closed };
    }
    return { namespace, ingress, service, pool: closed ? undefined : found, closed };
  }

  #reportTaken(ingress: Ingress, owner: Ingress | undefined, field: string, what: string): void {
    const message =
      owner === ingress || owner === undefined
        ? `This Ingress already names ${what}; the first one is used, remove this one.`
        : `${nameOf(owner)} comes first (the older, then by name) and already has ${what}; this one is not used. Remove one of them.`;
    this.#report.error(ingress, field, message);
  }

  #flagBackend({ defaultBackend }: CompileOptions): DraftRoute | undefined {
    if (defaultBackend === undefined) return undefined;
    const { namespace, service } = defaultBackend;
    const found = this.#backends.resolve(namespace, defaultBackend);
    const fault = isFault(found) ? found : undefined;
    if (fault !== undefined) {
      const object = { kind: 'Service', namespace, name: service };
      this.#report.addAll([{ severity: 'error', object, field: '', message: `--default-backend: ${fault.message}` }]);
    }
    const pool = isFault(found) ? undefined : found;
    const match = { host: undefined, section: '', path: '', pathType: 'Prefix' } as const;
    return { namespace, ingress: undefined, ...match, service, pool, closed: false };
  }
}

function claimOf(host: string, path: string, pathType: PathType): string {
  return `${host}\0${pathType}\0${pathKey(path, pathType)}`;
}

function hostText(host: string): string {
  return host === '' ? 'rules without a host' : `host ${host}`;
}

/** What is wrong with a normalized host; undefined = nothing. */
export function hostFault(host: string): string | undefined {
  if (parseIp(host) !== undefined) return 'an IP address is no host name; leave `host` out to serve every host.';
  if (host === '*') return 'leave `host` out to serve every host.';
  if (host.length <= MAX_HOST && HOST.test(host)) return undefined;
  return 'write a DNS name such as `shop.example`, or `*.shop.example` for any one label in front.';
}
