/** Key `expression`: what a CEL expression makes of the request. */
import type { ReadKey } from '../../model/policy.ts';
import type { ExpressionRule } from '../../model/sticky-policy.ts';
import { compileCel } from '../cel/compile.ts';
import type { RuleKind } from '../kind.ts';
import { keyUse } from '../use.ts';

export const expressionRule: RuleKind<ExpressionRule, Extract<ReadKey, { kind: 'expression' }>> = {
  compile: (spec, idleTimeout) => ({ kind: 'expression', ...keyUse(spec, idleTimeout), cel: spec.cel }),
  extractor(key, regex, onError) {
    const evaluate = compileCel(key, key.cel, 'string', regex, onError);
    return (facts) => {
      const value = evaluate(facts);
      return value === '' ? undefined : value;
    };
  },
};
