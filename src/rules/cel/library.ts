/** The CEL library with our variables. The first expression of a thread loads it: most policies have none, and it takes a megabyte of heap. */
import { createRequire } from 'node:module';
import type * as Library from '@marcbachmann/cel-js';
import type { Regex } from '../kind.ts';
import { RequestView, SourceView, TlsView } from './variables.ts';

/** Nesting of parentheses, calls, look-ups and lists. */
const MAX_DEPTH = 32;
/** `matches` of every expression is made this: the library's own backtracks, and it lets nobody replace it. */
export const LINEAR_MATCHES = 'linearMatches';

/** The patterns of the expression under way, compiled with it. */
let patterns: ReadonlyMap<string, Regex> = new Map();
let environment: Library.Environment | undefined;

export function usePatterns(compiled: ReadonlyMap<string, Regex>): void {
  patterns = compiled;
}

export function celEnvironment(): Library.Environment {
  environment ??= makeEnvironment();
  return environment;
}

function makeEnvironment(): Library.Environment {
  const require = createRequire(import.meta.url);
  const { Environment } = require('@marcbachmann/cel-js') as typeof Library;
  const texts = { method: 'string', host: 'string', path: 'string', scheme: 'string' };
  const map = 'map<string, string>';
  const maps = { query: map, headers: map, cookies: map };
  return new Environment({ limits: { maxDepth: MAX_DEPTH } })
    .registerType('Request', { ctor: RequestView, fields: { ...texts, port: 'int', ...maps } })
    .registerType('Source', { ctor: SourceView, fields: { ip: 'string' } })
    .registerType('Tls', { ctor: TlsView, fields: { sni: 'string' } })
    .registerVariable('request', 'Request')
    .registerVariable('source', 'Source')
    .registerVariable('tls', 'Tls')
    .registerFunction(`string.${LINEAR_MATCHES}(string): bool`, linearMatches, { async: false });
}

function linearMatches(text: string, pattern: string): boolean {
  return patterns.get(pattern)!.test(text);
}
