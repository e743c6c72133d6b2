/** Reads untrusted JSON field by field: each getter gives a value of the wanted type or reports the field's path and what to write instead. */
import type { ObjectRef } from '../../model/ids.ts';
import { placeOf, type FieldLines } from '../../model/lines.ts';
import type { Location, Problem } from '../../model/problem.ts';

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Appends a key to a path as a user would write it: `spec.rules`, or `metadata.annotations[a/b]` when the key holds other characters. */
export function childPath(path: string, key: string): string {
  if (!/^[A-Za-z_][A-Za-z0-9_-]*$/.test(key)) return `${path}[${key}]`;
  return path === '' ? key : `${path}.${key}`;
}

/** Collects the problems of one object. */
export class Report {
  readonly ref: ObjectRef;
  readonly problems: Problem[] = [];
  readonly #location: Location | undefined;
  readonly #lines: FieldLines | undefined;

  constructor(ref: ObjectRef, location?: Location, lines?: FieldLines) {
    this.ref = ref;
    this.#location = location;
    this.#lines = lines;
  }

  error(field: string, message: string): void {
    this.add({ severity: 'error', object: this.ref, field, message });
  }

  warning(field: string, message: string): void {
    this.add({ severity: 'warning', object: this.ref, field, message });
  }

  add(problem: Problem): void {
    const location = this.#location && placeOf(this.#location, this.#lines, problem.field);
    this.problems.push(location === undefined ? problem : { ...problem, location });
  }
}

/** One JSON object being read, with its path. Absent and null are the same thing, as in the Kubernetes API. */
export interface ObjectFields {
  readonly path: string;
  /** Position in the list that it is a member of; 0 outside lists. */
  readonly index: number;
  readonly raw: Readonly<Record<string, unknown>>;
  at(key: string): string;
  has(key: string): boolean;
  /** A string; undefined = absent or refused. */
  string(key: string): string | undefined;
  /** A string that must be there and not be empty. */
  required(key: string, example: string): string | undefined;
  boolean(key: string): boolean | undefined;
  integer(key: string, min: number, max: number): number | undefined;
  /** A value from a fixed set; undefined = absent or refused. */
  oneOf<T extends string>(key: string, values: readonly T[]): T | undefined;
  object(key: string): ObjectFields | undefined;
  /** Members that are objects; others are reported and left out. */
  objects(key: string): ObjectFields[];
  /** Members that are strings; others are reported and left out. */
  strings(key: string): string[];
  /** Scalars that are not strings are reported but kept as text, so that nothing they restrict falls open. */
  stringMap(key: string): Readonly<Record<string, string>>;
}

function shown(value: unknown): string {
  if (Array.isArray(value)) return 'a list';
  if (isRecord(value)) return 'a mapping';
  return typeof value === 'string' ? 'a text' : `a ${typeof value}`;
}

/** Shared: most objects have no annotations or no labels, and thousands of empty objects are megabytes. */
const NO_TEXTS: Readonly<Record<string, string>> = Object.freeze({});

class Fields implements ObjectFields {
  readonly path: string;
  readonly index: number;
  readonly raw: Readonly<Record<string, unknown>>;
  readonly #report: Report;

  constructor(raw: Readonly<Record<string, unknown>>, path: string, report: Report, index = 0) {
    this.raw = raw;
    this.path = path;
    this.index = index;
    this.#report = report;
  }

  at(key: string): string {
    return childPath(this.path, key);
  }

  #value(key: string): unknown {
    return Object.hasOwn(this.raw, key) ? (this.raw[key] ?? undefined) : undefined;
  }

  #refuse(key: string, value: unknown, wanted: string): undefined {
    this.#report.error(this.at(key), `this is ${shown(value)}; write ${wanted}`);
    return undefined;
  }

  has(key: string): boolean {
    return this.#value(key) !== undefined;
  }

  string(key: string): string | undefined {
    const value = this.#value(key);
    if (value === undefined || typeof value === 'string') return value;
    return this.#refuse(key, value, 'a text, in quotes when it looks like a number or a boolean');
  }

  required(key: string, example: string): string | undefined {
    const value = this.#value(key);
    if (typeof value === 'string' && value !== '') return value;
    if (value !== undefined && value !== '') return this.#refuse(key, value, `a text such as ${example}`);
    this.#report.error(this.at(key), `this is missing; write a text such as ${example}`);
    return undefined;
  }

  boolean(key: string): boolean | undefined {
    const value = this.#value(key);
    if (value === undefined || typeof value === 'boolean') return value;
    return this.#refuse(key, value, '`true` or `false` without quotes');
  }

  integer(key: string, min: number, max: number): number | undefined {
    const value = this.#value(key);
    if (value === undefined) return undefined;
    const wanted = `a whole number from ${String(min)} to ${String(max)}`;
    if (typeof value !== 'number') return this.#refuse(key, value, wanted);
    if (Number.isInteger(value) && value >= min && value <= max) return value;
    this.#report.error(this.at(key), `${String(value)} is out of range; write ${wanted}`);
    return undefined;
  }

  oneOf<T extends string>(key: string, values: readonly T[]): T | undefined {
    const value = this.string(key);
    const found = values.find((candidate) => candidate === value);
    if (found === undefined && value !== undefined) {
      this.#report.error(
        this.at(key),
        `${JSON.stringify(value.slice(0, 80))} is not known; write ${values.join(' or ')}`,
      );
    }
    return found;
  }

  object(key: string): ObjectFields | undefined {
    const value = this.#value(key);
    if (value === undefined) return undefined;
    if (!isRecord(value)) return this.#refuse(key, value, 'a mapping');
    return new Fields(value, this.at(key), this.#report);
  }

  #list(key: string): readonly unknown[] {
    const value = this.#value(key);
    if (value === undefined) return [];
    if (Array.isArray(value)) return value;
    this.#refuse(key, value, 'a list');
    return [];
  }

  objects(key: string): ObjectFields[] {
    const members: ObjectFields[] = [];
    for (const [index, value] of this.#list(key).entries()) {
      const path = `${this.at(key)}[${String(index)}]`;
      if (isRecord(value)) members.push(new Fields(value, path, this.#report, index));
      else this.#report.error(path, `this is ${shown(value)}; write a mapping`);
    }
    return members;
  }

  strings(key: string): string[] {
    const members: string[] = [];
    for (const [index, value] of this.#list(key).entries()) {
      if (typeof value === 'string') members.push(value);
      else this.#report.error(`${this.at(key)}[${String(index)}]`, `this is ${shown(value)}; write a text`);
    }
    return members;
  }

  stringMap(key: string): Readonly<Record<string, string>> {
    const map = this.object(key);
    if (map === undefined) return NO_TEXTS;
    const texts: Record<string, string> = {};
    for (const [name, value] of Object.entries(map.raw)) {
      if (typeof value !== 'string') {
        this.#report.error(map.at(name), `this is ${shown(value)}; write a text in quotes`);
      }
      const text = typeof value === 'number' || typeof value === 'boolean' ? String(value) : '';
      // defineProperty semantics: a key such as `__proto__` must become a plain entry.
      Object.defineProperty(texts, name, {
        value: typeof value === 'string' ? value : text,
        enumerable: true,
        configurable: true,
        writable: true,
      });
    }
    return texts;
  }
}

/** Starts reading a JSON object that stands at `path` of the report's object. */
export function objectFields(raw: Readonly<Record<string, unknown>>, path: string, report: Report): ObjectFields {
  return new Fields(raw, path, report);
}
