/** Collects the Problems of one compilation. */
import type { ObjectRef } from '../model/ids.ts';
import { placeOf } from '../model/lines.ts';
import type { Problem, Severity } from '../model/problem.ts';
import type { Meta } from '../model/resources.ts';

/** Anything a Problem can be about. */
export interface Described {
  readonly kind: string;
  readonly meta: Meta;
}

export function refOf({ kind, meta }: Described): ObjectRef {
  return { kind, namespace: meta.namespace, name: meta.name };
}

/** `Ingress shop/cart`, as messages name an object. */
export function nameOf({ kind, meta }: Described): string {
  return `${kind} ${meta.namespace === '' ? '' : `${meta.namespace}/`}${meta.name}`;
}

export class ProblemReport {
  readonly #problems: Problem[] = [];

  /** `field`: as a user would write it, `spec.rules[0].host`; empty = the whole object. */
  error(object: Described, field: string, message: string): void {
    this.#problems.push(problemOf('error', object, field, message));
  }

  warning(object: Described, field: string, message: string): void {
    this.#problems.push(problemOf('warning', object, field, message));
  }

  addAll(problems: readonly Problem[]): void {
    for (const problem of problems) this.#problems.push(problem);
  }

  /** The same whatever order the snapshot's maps have. */
  sorted(): Problem[] {
    return sortedByObject(this.#problems);
  }
}

/** By object, each object's in the order given. */
export function sortedByObject(problems: readonly Problem[]): Problem[] {
  const key = ({ object }: Problem): string => `${object.kind}\0${object.namespace}\0${object.name}`;
  return problems
    .map((problem) => ({ problem, key: key(problem) }))
    .sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0))
    .map(({ problem }) => problem);
}

export function problemOf(severity: Severity, object: Described, field: string, message: string): Problem {
  const { location, lines } = object.meta;
  const place = location === undefined ? {} : { location: placeOf(location, lines, field) };
  return { severity, object: refOf(object), field, message, ...place };
}
