/** A Problem: a user's object is wrong. Everything else goes on. */
import type { ObjectRef } from './ids.ts';

export type Severity = 'error' | 'warning';

export interface Problem {
  readonly severity: Severity;
  readonly object: ObjectRef;
  /** Path of the offending field as a user would write it, e.g. `spec.rules[0].cookie.path`; empty = the whole object. */
  readonly field: string;
  /** What is wrong and what to write instead, one sentence or two. */
  readonly message: string;
  /** Where the object stands, for objects that came from files. `line` is 1-based. */
  readonly location?: Location;
}

export interface Location {
  readonly file: string;
  readonly line: number;
}
