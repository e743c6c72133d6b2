/** Key `tlsSession`: the TLS session that the client's connection began or resumed. */
import type { ReadKey } from '../../model/policy.ts';
import type { TlsSessionRule } from '../../model/sticky-policy.ts';
import type { RuleKind } from '../kind.ts';
import { keyUse } from '../use.ts';

export const tlsSessionRule: RuleKind<TlsSessionRule, Extract<ReadKey, { kind: 'tlsSession' }>> = {
  compile: (spec, idleTimeout) => ({ kind: 'tlsSession', ...keyUse(spec, idleTimeout) }),
  extractor: () => (facts) => (facts.tls.session === '' ? undefined : facts.tls.session),
};
