/** Key `header`: the value of a request header. */
import type { ReadKey } from '../../model/policy.ts';
import type { HeaderRule } from '../../model/sticky-policy.ts';
import { extractPart } from '../extract.ts';
import type { RuleKind } from '../kind.ts';
import { keyUse } from '../use.ts';

export const headerRule: RuleKind<HeaderRule, Extract<ReadKey, { kind: 'header' }>> = {
  compile: (spec) => ({ kind: 'header', ...keyUse(spec), name: spec.name.toLowerCase(), extract: spec.extract }),
  extractor(key, regex) {
    const part = extractPart(key.extract, regex);
    return (facts) => {
      const value = facts.header(key.name);
      return value === undefined ? undefined : part(value);
    };
  },
};
