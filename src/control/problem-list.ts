/** The problems in force, each with the time since when. */
import type { ActiveProblem } from '../admin/types.ts';
import type { Problem } from '../model/problem.ts';

/** Problems are immutable and most stay from change to change, so their keys are made once. */
const KEYS = new WeakMap<Problem, string>();

function keyOf(problem: Problem): string {
  let key = KEYS.get(problem);
  if (key === undefined) {
    key = JSON.stringify([problem.object, problem.field, problem.message]);
    KEYS.set(problem, key);
  }
  return key;
}

export class ProblemList {
  #active = new Map<string, ActiveProblem>();

  /** Replaces the list; a problem that stays keeps its `since`. Returns the new ones. */
  replace(problems: readonly Problem[], now: number): ActiveProblem[] {
    const next = new Map<string, ActiveProblem>();
    const added: ActiveProblem[] = [];
    for (const problem of problems) {
      const key = keyOf(problem);
      if (next.has(key)) continue;
      const known = this.#active.get(key);
      const active = { ...problem, since: known?.since ?? now };
      next.set(key, active);
      if (known === undefined) added.push(active);
    }
    this.#active = next;
    return added;
  }

  list(): ActiveProblem[] {
    return [...this.#active.values()];
  }
}
