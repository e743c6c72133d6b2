/** Key `host`: the request's host. */
import type { HashKey } from '../../model/policy.ts';
import type { HostRule } from '../../model/sticky-policy.ts';
import type { RuleKind } from '../kind.ts';

export const hostRule: RuleKind<HostRule, Extract<HashKey, { kind: 'host' }>> = {
  compile: (spec) => ({ kind: 'host', mode: spec.mode }),
  extractor: () => (facts) => (facts.host === '' ? undefined : facts.host),
};
