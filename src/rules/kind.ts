/** What every kind of rule key provides: defaults at compile time and, for keys that are hashed or looked up, a reader of the value in a request. */
import type { RequestFacts } from '../model/facts.ts';

/** A compiled regular expression; matching is unanchored and takes linear time. */
export interface Regex {
  test(text: string): boolean;
  /** The first group of the first match, or the whole match when the pattern has no group; undefined = no match. */
  firstGroup(text: string): string | undefined;
}

/** Throws on bad syntax. Injected, so that pure code does not choose the engine. */
export type RegexCompiler = (pattern: string, ignoreCase: boolean) => Regex;

/** The value of a key in a request; undefined = the key is missing. Never an empty string. */
export type KeyReader = (facts: RequestFacts) => string | undefined;

export interface RuleKind<Spec, Key> {
  /** The key with all defaults applied. `spec` has passed the schema; `idleTimeout`: the policy's, ms, 0 = none. */
  compile(spec: Spec, idleTimeout: number): Key;
  /**
   * How to read the value that is hashed or looked up; undefined = this key has none (tokens, `none`).
   * `onError` hears of each failed evaluation of an expression.
   */
  extractor(key: Key, regex: RegexCompiler, onError: () => void): KeyReader | undefined;
}
