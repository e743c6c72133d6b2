/** Regular expressions in RE2 syntax with linear-time matching, by re2js. */
import { RE2JS } from 're2js';
import type { Regex, RegexCompiler } from './kind.ts';

/** Throws on bad syntax; ask `regexProblem` first where a user wrote the pattern. */
export const compileRe2: RegexCompiler = (pattern, ignoreCase): Regex => {
  const compiled = RE2JS.compile(pattern, ignoreCase ? RE2JS.CASE_INSENSITIVE : 0);
  const group = compiled.groupCount() > 0 ? 1 : 0;
  return {
    test: (text) => compiled.test(text),
    firstGroup(text) {
      const matcher = compiled.matcher(text);
      return matcher.find() ? (matcher.group(group) ?? undefined) : undefined;
    },
  };
};

/** What is wrong with a pattern, in RE2's words; undefined = it compiles. */
export function regexProblem(pattern: string): string | undefined {
  try {
    compileRe2(pattern, false);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
