/** What an answer says about keys of mode Learn: which begin at the endpoint that answered, and which end. */
import type { RequestFacts } from '../model/facts.ts';
import type { ReadKey, TableUse } from '../model/policy.ts';
import { extractPart } from '../rules/extract.ts';
import type { Extractor } from '../rules/extract.ts';
import type { KeyReader, RegexCompiler } from '../rules/kind.ts';
import { isExpiring } from './backend-cookies.ts';
import { setCookieName } from './cookies.ts';

/** An answer's head. */
export interface AnswerHead {
  /** Values of a header by its lower-case name. */
  headers(name: string): readonly string[];
}

export interface Learner {
  readonly kind: 'cookie' | 'header';
  readonly name: string;
  readonly part: Extractor;
  /** Reads the key in a request. */
  readonly read: KeyReader;
  readonly use: TableUse;
}

export interface Learned {
  readonly key: string;
  readonly use: TableUse;
  /** The session is over. */
  readonly ends: boolean;
}

export function learnerOf(key: ReadKey, read: KeyReader, regex: RegexCompiler): Learner[] {
  if (key.mode !== 'Learn' || (key.kind !== 'cookie' && key.kind !== 'header')) return [];
  return [{ kind: key.kind, name: key.name, part: extractPart(key.extract, regex), read, use: key }];
}

/** `now`: wall clock, ms. */
export function readLearned(
  learners: readonly Learner[],
  facts: RequestFacts,
  head: AnswerHead,
  now: number,
): Learned[] {
  return learners.flatMap((learner) =>
    learner.kind === 'cookie' ? fromCookies(learner, facts, head, now) : fromHeader(learner, head),
  );
}

function fromHeader({ name, part, use }: Learner, head: AnswerHead): Learned[] {
  const value = head.headers(name)[0];
  const key = value === undefined ? undefined : part(value);
  return key === undefined ? [] : [{ key, use, ends: false }];
}

function fromCookies(
  { name, part, read, use }: Learner,
  facts: RequestFacts,
  head: AnswerHead,
  now: number,
): Learned[] {
  const learned: Learned[] = [];
  for (const line of head.headers('set-cookie')) {
    if (setCookieName(line) !== name) continue;
    const ends = isExpiring(line, now);
    // A cookie that is taken back seldom says which one it was.
    const key = ends ? read(facts) : part(valueOf(line));
    if (key !== undefined) learned.push({ key, use, ends });
  }
  return learned;
}

function valueOf(line: string): string {
  const semicolon = line.indexOf(';');
  const value = line.slice(line.indexOf('=') + 1, semicolon < 0 ? undefined : semicolon).trim();
  return value.length >= 2 && value.startsWith('"') && value.endsWith('"') ? value.slice(1, -1) : value;
}
