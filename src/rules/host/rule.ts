/** Key `host`: the request's host. */
import type { ReadKey } from '../../model/policy.ts';
import type { HostRule } from '../../model/sticky-policy.ts';
import type { RuleKind } from '../kind.ts';
import { keyUse } from '../use.ts';

export const hostRule: RuleKind<HostRule, Extract<ReadKey, { kind: 'host' }>> = {
  compile: (spec, idleTimeout) => ({ kind: 'host', ...keyUse(spec, idleTimeout) }),
  extractor: () => (facts) => (facts.host === '' ? undefined : facts.host),
};
