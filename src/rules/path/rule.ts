/** Key `path`: the normalised path or its first segments, for caches (destination affinity). */
import type { RequestFacts } from '../../model/facts.ts';
import type { ReadKey } from '../../model/policy.ts';
import type { PathRule } from '../../model/sticky-policy.ts';
import { extractPart } from '../extract.ts';
import type { RuleKind } from '../kind.ts';
import { keyUse } from '../use.ts';

export const pathRule: RuleKind<PathRule, Extract<ReadKey, { kind: 'path' }>> = {
  compile: (spec, idleTimeout) => ({
    kind: 'path',
    ...keyUse(spec, idleTimeout),
    depth: spec.depth ?? 0,
    includeQuery: spec.includeQuery ?? false,
    extract: spec.extract,
  }),
  extractor(key, regex) {
    const part = extractPart(key.extract, regex);
    const text = (facts: RequestFacts) => {
      const path = key.depth === 0 ? facts.path : firstSegments(facts.path, key.depth);
      return key.includeQuery && facts.query !== '' ? `${path}?${facts.query}` : path;
    };
    return (facts) => part(text(facts));
  },
};

/** `/a/b/c` with depth 2 → `/a/b`; a shorter path is taken whole. */
function firstSegments(path: string, depth: number): string {
  let end = 0;
  for (let i = 0; i < depth; i++) {
    end = path.indexOf('/', end + 1);
    if (end < 0) return path;
  }
  return path.slice(0, end);
}
