/** Compiles a large cluster: 5,000 Ingresses, 5,000 Services, 50,000 endpoints, 1,000 policies: `node bench/compile.ts`. */
import { buildPool } from '../src/compile/endpoints.ts';
import { compile, type CompileOptions } from '../src/compile/compile.ts';
import type { Snapshot } from '../src/model/snapshot.ts';
import type { Pool } from '../src/model/pool.ts';
import { Objects } from '../src/store/objects.ts';
import { INGRESSES, makeIngress, makePolicy, makeService, makeSlice, POLICIES } from './support/large-cluster.ts';

const LIMIT = 1_000;

const OPTIONS: CompileOptions = {
  controllerName: 'holdfast.dev/ingress-controller',
  ingressClass: 'holdfast',
  watchIngressWithoutClass: false,
  watchNamespaces: [],
  defaultBackend: undefined,
  inCluster: true,
  podMetadata: true,
};

function makeSnapshot(): Snapshot {
  const objects = new Objects();
  for (let i = 0; i < INGRESSES; i++) {
    objects.apply(makeIngress(i));
    objects.apply(makeService(i));
    objects.apply(makeSlice(i));
  }
  for (let i = 0; i < POLICIES; i++) objects.apply(makePolicy(i));
  return objects.snapshot();
}

const snapshot = makeSnapshot();
for (let round = 1; round <= 3; round++) {
  const started = performance.now();
  const { table, problems } = compile(snapshot, OPTIONS);
  const compiled = performance.now();
  const pools = new Map<string, Pool>();
  for (const spec of table.pools.values()) {
    pools.set(
      spec.key,
      buildPool(spec, snapshot.slicesByService.get(spec.serviceKey)?.values() ?? [], undefined, 0).pool,
    );
  }
  const done = performance.now();
  const endpoints = [...pools.values()].reduce((sum, pool) => sum + pool.endpoints.length, 0);
  const counts = `${table.hosts.size} hosts, ${table.affinities.size} affinities, ${endpoints} endpoints, ${problems.length} problems`;
  const times = `compile ${(compiled - started).toFixed(0)} ms, pools ${(done - compiled).toFixed(0)} ms`;
  process.stdout.write(`round ${round}: ${times} (${counts})\n`);
  if (round === 1 && done - started > LIMIT) {
    process.stdout.write(`over the limit of ${LIMIT} ms\n`);
    process.exitCode = 1;
  }
}
