/** Key `query`: the value of a query parameter. */
import type { ReadKey } from '../../model/policy.ts';
import type { QueryRule } from '../../model/sticky-policy.ts';
import { extractPart } from '../extract.ts';
import type { RuleKind } from '../kind.ts';
import { keyUse } from '../use.ts';
import { queryValues } from './read.ts';

export const queryRule: RuleKind<QueryRule, Extract<ReadKey, { kind: 'query' }>> = {
  compile: (spec, idleTimeout) => ({
    kind: 'query',
    ...keyUse(spec, idleTimeout),
    name: spec.name,
    extract: spec.extract,
  }),
  extractor(key, regex) {
    const part = extractPart(key.extract, regex);
    return (facts) => {
      const value = queryValues(facts.query, key.name)[0];
      return value === undefined ? undefined : part(value);
    };
  },
};
