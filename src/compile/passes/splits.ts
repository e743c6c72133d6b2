/** Pass 7: the Services that rules with `backends` divide their requests among. */
import type { PolicyId, RuleBackend, Split } from '../../model/policy.ts';
import type { PoolSpec } from '../../model/table.ts';
import type { ProblemReport } from '../report.ts';
import type { AppliedPolicy } from './attachment.ts';
import { isFault, type Backends } from './backends.ts';

/** A rule with `backends`, whichever routes it is for. */
export interface DraftSplit extends Split {
  /** The Service that is listed first, there or not: the sessions are its. */
  readonly primary: string;
  /** Of `backends`, in the same order. */
  readonly pools: readonly PoolSpec[];
  /** The rule is for every request, so that nothing behind it has a say. */
  readonly always: boolean;
}

const OTHERS_SERVE = 'the other backends of the rule serve its part until it exists';
/** What becomes of requests as long as a Service is missing; undefined = as where an Ingress names it. */
const meanwhile = (written: readonly RuleBackend[]) => (written.length > 1 ? OTHERS_SERVE : undefined);

export class Splits {
  readonly #made = new Map<PolicyId, readonly DraftSplit[]>();
  /** What policies name that is not there, in the words of their Problems. */
  readonly unresolved = new Map<PolicyId, string>();
  readonly #backends: Backends;
  readonly #report: ProblemReport;

  constructor(backends: Backends, report: ProblemReport) {
    this.#backends = backends;
    this.#report = report;
  }

  /** Those that a request may meet, in order; what is wrong with them is reported once. */
  of(applied: AppliedPolicy): readonly DraftSplit[] {
    const { id, rules } = applied.policy;
    const known = this.#made.get(id);
    if (known !== undefined) return known;
    const all = rules.flatMap(({ backends, when }, rule) =>
      backends === undefined ? [] : [this.#split(applied, rule, backends, when === undefined)],
    );
    const last = all.findIndex(({ always }) => always);
    const made = last < 0 ? all : all.slice(0, last + 1);
    this.#made.set(id, made);
    return made;
  }

  /** Of all policies. */
  *pools(): Generator<PoolSpec> {
    for (const splits of this.#made.values()) for (const { pools } of splits) yield* pools;
  }

  #split(applied: AppliedPolicy, rule: number, written: readonly RuleBackend[], always: boolean): DraftSplit {
    const found = written.flatMap((backend, i) => {
      const spec = this.#resolve(
        applied,
        `${applied.field}.rules[${rule}].backends[${i}].service`,
        backend,
        meanwhile(written),
      );
      return spec === undefined ? [] : [{ spec, weight: backend.weight }];
    });
    return {
      rule,
      primary: written[0]?.service ?? '',
      backends: found.map(({ spec, weight }) => ({ pool: spec.key, weight })),
      pools: found.map(({ spec }) => spec),
      always,
    };
  }

  #resolve(
    { policy, source }: AppliedPolicy,
    field: string,
    backend: RuleBackend,
    without: string | undefined,
  ): PoolSpec | undefined {
    const found = this.#backends.resolve(policy.namespace, backend, without);
    if (!isFault(found)) return found;
    this.#report.error(source, `${field}.${found.part}`, found.message);
    const before = this.unresolved.get(policy.id);
    this.unresolved.set(policy.id, before === undefined ? found.message : `${before} ${found.message}`);
    return undefined;
  }
}
