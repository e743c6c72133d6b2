/** Which pools the routes of a table lead to, and by which policies. */
import type { PoolKey } from '../model/ids.ts';
import type { CompiledPolicy } from '../model/policy.ts';
import type { Table } from '../model/table.ts';
import { routesOf } from './publisher.ts';

export interface Lead {
  readonly namespace: string;
  readonly pool: PoolKey;
  /** undefined = balanced without stickiness. */
  readonly policy: CompiledPolicy | undefined;
}

/** One for each pool of each route: its own, and those that its policy divides requests among. */
export function* leadsOf(table: Table): Generator<Lead> {
  for (const { namespace, pool, affinity = '', splits = [], canary } of routesOf(table)) {
    const policy = table.policies.get(table.affinities.get(affinity)?.policy ?? '');
    if (pool !== undefined) yield { namespace, pool, policy };
    if (canary !== undefined) yield { namespace, pool: canary.pool, policy };
    for (const { affinity: id, rule } of splits) {
      const divided = table.affinities.get(id);
      const backends = divided?.splits?.find((split) => split.rule === rule)?.backends ?? [];
      const by = table.policies.get(divided?.policy ?? '');
      for (const backend of backends) yield { namespace, pool: backend.pool, policy: by };
    }
  }
}
