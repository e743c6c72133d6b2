/** Expressions in CEL (https://cel.dev): checked and compiled once, evaluated per request. */
import type { RequestFacts } from '../../model/facts.ts';
import type { Regex, RegexCompiler } from '../kind.ts';
import { compileRe2 } from '../re2.ts';
import { admit, literal } from './admit.ts';
import { celEnvironment, LINEAR_MATCHES, usePatterns } from './library.ts';
import { lookAt, variables } from './variables.ts';

interface Results {
  readonly string: string;
  readonly bool: boolean;
}
type Kind = keyof Results;
const TYPEOF: Readonly<Record<Kind, string>> = { string: 'string', bool: 'boolean' };

/** undefined = there was an error, which `onError` has heard of. */
export type Evaluate<K extends Kind> = (facts: RequestFacts) => Results[K] | undefined;

interface Program {
  readonly run: (context: object) => unknown;
  readonly patterns: ReadonlyMap<string, Regex>;
}

/** By the object that holds the text: a policy's rules are compiled for each of its Services. */
const programs = new WeakMap<object, Program>();

/** `owner`: what `text` is a field of. Throws on a bad expression; ask `celProblem` first where a user wrote it. */
export function compileCel<K extends Kind>(
  owner: object,
  text: string,
  kind: K,
  regex: RegexCompiler,
  onError: () => void,
): Evaluate<K> {
  const program = programs.get(owner) ?? compile(text, kind, regex);
  programs.set(owner, program);
  return (facts) => {
    try {
      const value = evaluate(program, facts);
      if (typeof value === TYPEOF[kind]) return value as Results[K];
    } catch {
      // Whatever it is, a missing name above all, it counts and nothing more.
    }
    onError();
    return undefined;
  };
}

/** What is wrong with an expression; undefined = it compiles and gives a value of that kind. */
export function celProblem(text: string, kind: Kind): string | undefined {
  try {
    compile(text, kind, compileRe2);
    return undefined;
  } catch (error) {
    return described(error);
  }
}

function compile(text: string, kind: Kind, regex: RegexCompiler): Program {
  const parsed = celEnvironment().parse(text);
  const patterns = new Map<string, Regex>();
  for (const call of admit(parsed.ast)) {
    const pattern = literal(call.args[2][0]!)!;
    patterns.set(pattern, regex(pattern, false));
    call.args[0] = LINEAR_MATCHES;
  }
  const { type, error } = parsed.check();
  if (error !== undefined) throw error;
  if (type !== kind) throw new Error(`this gives ${type ?? 'nothing'}, not ${kind}`);
  return { run: parsed, patterns };
}

function evaluate({ run, patterns }: Program, facts: RequestFacts): unknown {
  lookAt(facts);
  usePatterns(patterns);
  const { stackTraceLimit } = Error;
  // Names are missing every day, and the stack is two thirds of what the library's error costs.
  Error.stackTraceLimit = 0;
  try {
    return run(variables);
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
  }
}

/** The library's messages draw the place below their first line. */
function described(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { summary, range } = error as { readonly summary?: string; readonly range?: { readonly start: number } };
  if (summary === undefined) return error.message;
  return range === undefined ? summary : `${summary}, at character ${range.start + 1}`;
}
