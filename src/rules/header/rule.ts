/** Key `header`: the value of a request header, or our token in front of it (Wrap). */
import type { ReadKey, WrapKey } from '../../model/policy.ts';
import type { HeaderRule } from '../../model/sticky-policy.ts';
import { extractPart } from '../extract.ts';
import type { RuleKind } from '../kind.ts';
import { keyUse } from '../use.ts';

export const headerRule: RuleKind<HeaderRule, Extract<ReadKey, { kind: 'header' }> | WrapKey> = {
  compile(spec, idleTimeout) {
    const name = spec.name.toLowerCase();
    if (spec.mode === 'Wrap') return { kind: 'header', mode: 'Wrap', name };
    return { kind: 'header', ...keyUse(spec, idleTimeout), name, extract: spec.extract };
  },
  extractor(key, regex) {
    if (key.mode === 'Wrap') return undefined;
    const part = extractPart(key.extract, regex);
    return (facts) => {
      const value = facts.header(key.name);
      return value === undefined ? undefined : part(value);
    };
  },
};
