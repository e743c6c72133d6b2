/** Checks a StickyPolicy spec against the schema and says what is wrong in the words a user needs. */
import { z } from 'zod';
import { KEY_NAMES } from '../rules/schemas.ts';
import { nearest } from '../model/nearest.ts';
import type { StickyPolicySpec } from '../model/sticky-policy.ts';
import { childPath } from './project/fields.ts';
import { specSchema } from './sticky-policy.ts';

/** One finding: a field's path below the spec and a sentence. */
export interface Finding {
  /** Keys and indices below the spec. */
  readonly path: readonly (string | number)[];
  readonly message: string;
}

export type Validated =
  | { readonly spec: StickyPolicySpec; readonly findings?: undefined }
  | { readonly spec?: undefined; readonly findings: readonly Finding[] };

export function validateSpec(raw: unknown): Validated {
  const result = specSchema.safeParse(withoutNulls(raw, 0), { reportInput: true });
  if (result.success) return { spec: result.data };
  return { findings: result.error.issues.flatMap(toFindings) };
}

type Path = Finding['path'];

/** Removing a field can uncover others below it at most so often: nothing is nested deeper. */
const MAX_ROUNDS = 8;

/** A spec without the fields that the schema does not know, and their paths; rules of kinds it does not know go as a whole. */
export function dropUnknown(raw: unknown): { readonly known: unknown; readonly dropped: readonly Path[] } {
  const known = withoutNulls(raw, 0);
  const dropped: Path[] = [];
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const result = specSchema.safeParse(known);
    const unknown = (result.error?.issues ?? []).filter((issue) => issue.code === 'unrecognized_keys');
    if (unknown.length === 0) break;
    for (const { path, keys } of unknown) {
      const parent = at(known, path);
      for (const key of keys) {
        if (parent === undefined || !Reflect.deleteProperty(parent, key)) continue;
        dropped.push([...path.filter((step) => typeof step !== 'symbol'), key]);
      }
    }
  }
  dropEmptyRules(known, dropped);
  return { known, dropped };
}

/** The object or list at a path. */
function at(value: unknown, path: readonly PropertyKey[]): object | undefined {
  let here: unknown = value;
  for (const step of path) here = isObject(here) ? (here as Record<PropertyKey, unknown>)[step] : undefined;
  return isObject(here) ? here : undefined;
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}

/** A rule whose only key was not known has none left; with `backends` it still chooses among them. */
function dropEmptyRules(spec: unknown, dropped: readonly Path[]): void {
  const rules = isObject(spec) && 'rules' in spec ? spec.rules : undefined;
  if (!Array.isArray(rules)) return;
  const cut = new Set(dropped.filter(([first, , third]) => first === 'rules' && third !== undefined).map(([, i]) => i));
  const left = rules.filter((rule: unknown, i) => !cut.has(i) || hasKey(rule));
  if (left.length > 0) rules.splice(0, rules.length, ...(left as unknown[]));
}

function hasKey(rule: unknown): boolean {
  return isObject(rule) && ['backends', ...KEY_NAMES].some((name) => name in rule);
}

/** `spec.rules[0].cookie.path` from a finding's path. */
export function fieldPath(root: string, path: readonly (string | number)[]): string {
  return path.reduce<string>(
    (text, step) => (typeof step === 'number' ? `${text}[${String(step)}]` : childPath(text, step)),
    root,
  );
}

/** Deeper than any valid policy; what lies below is refused by the schema anyway. */
const MAX_DEPTH = 32;

/** The API server drops nulls of fields that are not nullable; files are read the same way. */
function withoutNulls(raw: unknown, depth: number): unknown {
  if (typeof raw !== 'object' || raw === null || depth > MAX_DEPTH) return raw;
  if (Array.isArray(raw)) return raw.map((member: unknown) => withoutNulls(member, depth + 1));
  const kept = Object.entries(raw).filter(([, value]) => value !== null);
  return Object.fromEntries(kept.map(([key, value]) => [key, withoutNulls(value, depth + 1)]));
}

function toFindings(issue: z.core.$ZodIssue): Finding[] {
  const path = issue.path.filter((step) => typeof step !== 'symbol');
  if (issue.code !== 'unrecognized_keys') return [{ path, message: say(issue) }];
  const valid = fieldsAt(path);
  return issue.keys.map((key) => ({ path: [...path, key], message: sayUnknown(key, valid) }));
}

function sayUnknown(key: string, valid: readonly string[]): string {
  const guess = nearest(key, valid);
  if (guess !== undefined) return `this field is not known; did you mean \`${guess}\`?`;
  return valid.length === 0
    ? 'this field is not known; write `{}` here'
    : `this field is not known; write one of ${valid.map((name) => `\`${name}\``).join(', ')}`;
}

/** Names of the fields of the object schema at a path, for suggestions. */
function fieldsAt(path: readonly (string | number)[]): readonly string[] {
  let schema: unknown = specSchema;
  for (const step of path) {
    schema = unwrap(schema);
    if (schema instanceof z.ZodObject) schema = (schema.shape as Record<string, unknown>)[String(step)];
    else if (schema instanceof z.ZodArray) schema = schema.element;
    else return [];
  }
  schema = unwrap(schema);
  return schema instanceof z.ZodObject ? Object.keys(schema.shape) : [];
}

function unwrap(schema: unknown): unknown {
  return schema instanceof z.ZodOptional ? schema.unwrap() : schema;
}

function say(issue: z.core.$ZodIssue): string {
  switch (issue.code) {
    case 'invalid_type':
      return issue.input === undefined
        ? `this is missing; write ${typeName(issue.expected)}`
        : `this has the wrong type; write ${typeName(issue.expected)}`;
    case 'invalid_value':
      return sayValue(issue);
    case 'too_small':
    case 'too_big':
      return saySize(issue);
    default:
      return issue.message;
  }
}

function typeName(expected: string): string {
  const names: Readonly<Record<string, string>> = {
    string: 'a text, in quotes when it looks like a number or a boolean',
    number: 'a number without quotes',
    int: 'a whole number',
    boolean: '`true` or `false` without quotes',
    array: 'a list',
    object: 'a mapping',
    record: 'a mapping',
  };
  return names[expected] ?? expected;
}

function sayValue(issue: z.core.$ZodIssueInvalidValue): string {
  const values = issue.values.map(String);
  const wanted = values.map((value) => (value === '' ? '`""`' : `\`${value}\``)).join(' or ');
  if (issue.input === undefined) return `this is missing; write ${wanted}`;
  const guess = typeof issue.input === 'string' ? nearest(issue.input, values) : undefined;
  return guess === undefined || guess === '' || values.length === 1
    ? `this value is not known; write ${wanted}`
    : `this value is not known; did you mean \`${guess}\`? Write ${wanted}`;
}

function saySize(issue: z.core.$ZodIssueTooSmall | z.core.$ZodIssueTooBig): string {
  const bound = String(issue.code === 'too_small' ? issue.minimum : issue.maximum);
  const most = issue.code === 'too_big';
  switch (issue.origin) {
    case 'string':
      return most
        ? `this is too long; write at most ${bound} characters`
        : 'this is empty; write a text or leave the field out';
    case 'array':
      return most
        ? `this list is too long; write at most ${bound} members`
        : 'this list is empty; write a member or leave the field out';
    default:
      return most ? `this is too large; write at most ${bound}` : `this is too small; write at least ${bound}`;
  }
}
