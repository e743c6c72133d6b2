/** Which routes, Services, rules and policies are counted: each has a slot as long as some part of the table needs it. */
import type { CompiledPolicy } from '../model/policy.ts';
import type { Route } from '../model/table.ts';
import type { Counted } from '../shared/counted.ts';
import type { CountedBlock, TableDelta } from '../shared/messages.ts';
import { policySlotKey, routeSlotKey, ruleSlotKey, serviceSlotKey } from '../shared/slot-keys.ts';

type SlotEntry = TableDelta['slots'][number];
/** Something that is counted. */
export type SlotNeed = readonly [block: CountedBlock, key: string];

export interface SlotChanges {
  /** What the workers do not know yet. */
  readonly added: readonly SlotEntry[];
  /** What nothing needs any more. */
  readonly removed: readonly SlotNeed[];
}

interface Needed {
  readonly slot: number;
  times: number;
}

export class SlotNeeds {
  readonly #counted: Counted;
  /** By block and key. */
  readonly #needed: Readonly<Record<CountedBlock, Map<string, Needed>>> = {
    route: new Map(),
    service: new Map(),
    rule: new Map(),
    policy: new Map(),
  };

  constructor(counted: Counted) {
    this.#counted = counted;
  }

  all(): SlotEntry[] {
    const blocks = Object.entries(this.#needed) as [CountedBlock, Map<string, Needed>][];
    return blocks.flatMap(([block, needed]) =>
      needed
        .entries()
        .map(([key, { slot }]): SlotEntry => [block, key, slot])
        .toArray(),
    );
  }

  /** `now`, `version`: when and in which table the slots that are released were given up. */
  change(needed: Iterable<SlotNeed>, released: Iterable<SlotNeed>, now: number, version: number): SlotChanges {
    const added: SlotEntry[] = [];
    for (const [block, key] of needed) {
      const known = this.#needed[block].get(key);
      if (known !== undefined) {
        known.times++;
        continue;
      }
      const slot = this.#counted[block].acquire(key);
      this.#needed[block].set(key, { slot, times: 1 });
      added.push([block, key, slot]);
    }
    return { added, removed: this.#release(released, now, version) };
  }

  #release(released: Iterable<SlotNeed>, now: number, version: number): SlotNeed[] {
    const removed: SlotNeed[] = [];
    for (const [block, key] of released) {
      const known = this.#needed[block].get(key);
      if (known === undefined || --known.times > 0) continue;
      this.#needed[block].delete(key);
      this.#counted[block].retire(key, now, version);
      removed.push([block, key]);
    }
    return removed;
  }
}

export function* needsOfRoutes(routes: Iterable<Route>): Generator<SlotNeed> {
  for (const { namespace, ingress, service, splits, canary } of routes) {
    const divided = (splits ?? []).flatMap(({ services }) => services);
    for (const one of [service, ...divided, ...(canary === undefined ? [] : [canary.service])]) {
      yield ['route', routeSlotKey(namespace, ingress, one)];
      yield ['service', serviceSlotKey(namespace, one)];
    }
    yield ['rule', ruleSlotKey(namespace, '', '')];
  }
}

export function* needsOfPolicies(policies: Iterable<CompiledPolicy>): Generator<SlotNeed> {
  for (const { namespace, name, rules } of policies) {
    yield ['policy', policySlotKey(namespace, name)];
    yield ['rule', ruleSlotKey(namespace, name, '')];
    for (const rule of rules) yield ['rule', ruleSlotKey(namespace, name, rule.name)];
  }
}
