/**
 * Behaviour of the compiler as files: `NAME.in.yaml` (manifests, a document `kind: Options`, documents `kind: Requests`
 * with the Service each request must reach) gives `NAME.out.yaml` (the table and all Problems).
 * `UPDATE_GOLDEN=1` writes the out files (then `npm run format`); read the difference before keeping it.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse, parseAllDocuments, stringify } from 'yaml';
import { project } from '../../src/api/project.ts';
import { compile, type Compiled, type CompileOptions } from '../../src/compile/compile.ts';
import { normalizeHost } from '../../src/match/host.ts';
import { normalizePath } from '../../src/match/path.ts';
import { HostIndex } from '../../src/match/router.ts';
import type { Problem } from '../../src/model/problem.ts';
import type { Snapshot } from '../../src/model/snapshot.ts';
import type { TargetStatus } from '../../src/model/status.ts';
import type { PoolSpec, Route, Table } from '../../src/model/table.ts';
import { Objects } from '../../src/store/objects.ts';

interface Case {
  readonly options: CompileOptions;
  /** [request, expected Service or status]. */
  readonly requests: readonly (readonly [string, string])[];
  readonly snapshot: Snapshot;
  readonly problems: readonly Problem[];
}

const DEFAULT_OPTIONS: CompileOptions = {
  controllerName: 'holdfast.dev/ingress-controller',
  ingressClass: 'holdfast',
  watchIngressWithoutClass: false,
  watchNamespaces: [],
  defaultBackend: undefined,
  inCluster: true,
  podMetadata: true,
};

const FOLDER = import.meta.dirname;
const names = readdirSync(FOLDER)
  .filter((file) => file.endsWith('.in.yaml'))
  .map((file) => file.slice(0, -'.in.yaml'.length))
  .sort();

describe.each(names)('%s', (name) => {
  const input = readCase(join(FOLDER, `${name}.in.yaml`));
  const compiled = compile(input.snapshot, input.options);

  it('compiles to the golden file', () => {
    const text = print(compiled, input.problems);
    const file = join(FOLDER, `${name}.out.yaml`);
    if (process.env['UPDATE_GOLDEN'] === '1') writeFileSync(file, text);
    expect(parse(text)).toEqual(parse(readFileSync(file, 'utf8')));
  });

  it('T40 compiles to the same whatever the order of the objects', () => {
    const reversed = compile(reverse(input.snapshot), input.options);
    expect(print(reversed, input.problems)).toBe(print(compiled, input.problems));
  });

  if (input.requests.length > 0) {
    it.each(input.requests)('%s goes to %s', (request, expected) => {
      expect(send(compiled.table, request)).toBe(expected);
    });
  }
});

function readCase(file: string): Case {
  const objects = new Objects();
  const problems: Problem[] = [];
  const requests: [string, string][] = [];
  let options = DEFAULT_OPTIONS;
  for (const document of parseAllDocuments(readFileSync(file, 'utf8'))) {
    const raw = document.toJS() as Record<string, unknown> | null;
    if (raw?.['kind'] === 'Options') options = { ...options, ...(raw['options'] as Partial<CompileOptions>) };
    else if (raw?.['kind'] === 'Requests') requests.push(...Object.entries(raw['requests'] as Record<string, string>));
    else if (raw !== null) {
      const projected = project(raw);
      problems.push(...(projected?.problems ?? []));
      if (projected?.resource !== undefined) objects.apply(projected.resource);
    }
  }
  return { options, requests, snapshot: objects.snapshot(), problems };
}

function reverse(snapshot: Snapshot): Snapshot {
  const reversed = <T>(map: ReadonlyMap<string, T>): Map<string, T> => new Map([...map].reverse());
  return {
    ingresses: reversed(snapshot.ingresses),
    ingressClasses: reversed(snapshot.ingressClasses),
    services: reversed(snapshot.services),
    secrets: reversed(snapshot.secrets),
    policies: reversed(snapshot.policies),
    refusedPolicies: reversed(snapshot.refusedPolicies),
    slicesByService: reversed(snapshot.slicesByService),
    podVersions: reversed(snapshot.podVersions),
    pods: reversed(snapshot.pods),
  };
}

/** `host/path`, or `/path` for a request without a host. */
function send(table: Table, request: string): string {
  const slash = request.indexOf('/');
  const host = normalizeHost(request.slice(0, slash));
  const path = normalizePath(request.slice(slash));
  if (host === undefined || path === undefined) return '400';
  const found = HostIndex.build(table.hosts.values(), table.fallback, (route) => route).find(host, path);
  if (found === undefined) return '404';
  return found.pool === undefined ? '503' : found.service;
}

function print({ table, problems, status }: Compiled, projected: readonly Problem[]): string {
  const hosts = [...table.hosts.values()].map(({ host, routes, fallback }): [string, object] => [
    host === '' ? '(none)' : host,
    { routes: routes.map(routeText), ...(fallback && { fallback: routeText(fallback) }) },
  ]);
  const out = {
    hosts: Object.fromEntries(hosts),
    ...(table.fallback && { fallback: routeText(table.fallback) }),
    pools: [...table.pools.values()].map(poolText).sort(),
    policies: Object.fromEntries(table.policies),
    affinities: Object.fromEntries(table.affinities),
    status: Object.fromEntries([...status.policies].map(([key, { targets }]) => [key, targets.map(targetText)])),
    projectionProblems: projected.map(problemText),
    problems: problems.map(problemText),
  };
  // Golden files must not depend on the insertion order of maps, which means nothing.
  return stringify(JSON.parse(JSON.stringify(out)), { lineWidth: 0, sortMapEntries: true });
}

function poolText({ key, portName, protocol }: PoolSpec): string {
  return `${key} ${portName} ${protocol ?? ''}`.replaceAll('  ', ' ').trim();
}

function routeText(route: Route): string {
  const match = route.path === '' ? 'default' : `${route.pathType} ${route.path}`;
  const affinity = route.affinity === undefined ? '' : ` by ${route.affinity}`;
  const splits = (route.splits ?? []).map(
    (split) => `, rule ${split.rule}: ${split.services.join(' | ')} by ${split.affinity}`,
  );
  if (route.clientVerification !== undefined) splits.push(`, clients ${JSON.stringify(route.clientVerification)}`);
  if (route.canary !== undefined) splits.push(`, canary ${JSON.stringify(route.canary)}`);
  if (route.transport !== undefined) splits.push(`, over ${JSON.stringify(route.transport)}`);
  return `${match} -> ${route.pool ?? `503 (${route.service})`}${affinity}${splits.join('')} [${route.namespace}/${route.ingress}]`;
}

/** `Ingress web (a.example): Accepted=True Accepted, …`, with the message of what is False. */
function targetText({ target, conditions }: TargetStatus): string {
  const section = target.sectionName === undefined ? '' : ` (${target.sectionName})`;
  const states = conditions.map(({ type, status, reason }) => `${type}=${status} ${reason}`).join(', ');
  const why = conditions.find(({ status }) => status === 'False')?.message;
  return `${target.kind} ${target.name}${section}: ${states}${why === undefined ? '' : `: ${why}`}`;
}

function problemText({ severity, object, field, message }: Problem): string {
  return `${severity} ${object.kind} ${object.namespace}/${object.name} ${field}: ${message}`;
}
