/** Key `sourceIP`: the client's address, or the network it lies in. */
import { maskIp, parseIp } from '../../model/ip.ts';
import type { ReadKey } from '../../model/policy.ts';
import type { SourceIPRule } from '../../model/sticky-policy.ts';
import type { RuleKind } from '../kind.ts';
import { keyUse } from '../use.ts';

export const sourceIPRule: RuleKind<SourceIPRule, Extract<ReadKey, { kind: 'sourceIP' }>> = {
  compile: (spec, idleTimeout) => ({
    kind: 'sourceIP',
    ...keyUse(spec, idleTimeout),
    ipv4Prefix: spec.ipv4Prefix ?? 32,
    ipv6Prefix: spec.ipv6Prefix ?? 128,
  }),
  extractor: (key) => (facts) => {
    const ip = parseIp(facts.clientAddress);
    return ip === undefined ? undefined : maskIp(ip, key.ipv4Prefix, key.ipv6Prefix);
  },
};
