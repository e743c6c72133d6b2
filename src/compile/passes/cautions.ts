/** What a policy does that its author may not expect: told as Problems and in the policy's status. */
import { isTokenCookie } from '../../model/policy.ts';
import type { CompiledPolicy, TokenCookieKey } from '../../model/policy.ts';

export interface Caution {
  /** As in `Problem.field`. */
  readonly field: string;
  readonly message: string;
}

const LIMITED_TO_TLS12 =
  'LimitedToTLS12: clients that speak TLS 1.3, as nearly all do, carry no such key, and nobody does for longer than an hour; write a rule with `cookie` or `sourceIP` behind it.';

/** @param podMetadata whether the metadata of pods is read */
export function cautionsOf(policy: CompiledPolicy, podMetadata: boolean): Caution[] {
  return [...ruleCautions(policy), ...versionCautions(policy, podMetadata), ...rebalanceCautions(policy)];
}

function ruleCautions({ rules, idleTimeout }: CompiledPolicy): Caution[] {
  return rules.flatMap(({ key }, rule) => {
    if (key?.kind === 'tlsSession') return [{ field: `spec.rules[${rule}].tlsSession`, message: LIMITED_TO_TLS12 }];
    if (!isTokenCookie(key)) return [];
    const field = `spec.rules[${rule}].cookie`;
    return [...plainCautions(key, field), ...idleCautions(key, idleTimeout, field), ...foreignCautions(key, field)];
  });
}

function versionCautions({ lost: { preferVersion }, stickTo }: CompiledPolicy, podMetadata: boolean): Caution[] {
  if (podMetadata) return [];
  const caution = (field: string, value: string): Caution => {
    const message = `\`${value}\` has no effect here: versions are labels of pods, and pods are read in a cluster only, without \`--no-pod-watch\`; leave it out.`;
    return { field, message };
  };
  return [
    ...(stickTo === 'Version' ? [caution('spec.session.stickTo', stickTo)] : []),
    ...(preferVersion === 'Any' ? [] : [caution('spec.onEndpointLost.preferVersion', preferVersion)]),
  ];
}

function rebalanceCautions({ rebalance, rules, idleTimeout }: CompiledPolicy): Caution[] {
  if (rebalance === undefined) return [];
  const moves = rules.some(
    ({ key, force }) =>
      !force &&
      key !== undefined &&
      'mode' in key &&
      (key.mode === 'Table' || key.mode === 'Learn' || (isTokenCookie(key) && key.mode === 'Insert')),
  );
  if (!moves) {
    const message =
      'No session of this policy can be moved so: only those of a cookie in mode Insert and keys of modes Table and Learn, without `force`; leave it out.';
    return [{ field: 'spec.rebalance', message }];
  }
  if (idleTimeout === 0 || rebalance.idleFor < idleTimeout) return [];
  const message = 'Sessions end by `idleTimeout` before they could move; write a shorter `idleFor`.';
  return [{ field: 'spec.rebalance.idleFor', message }];
}

function plainCautions(key: TokenCookieKey, field: string): Caution[] {
  if (key.format === 'Plain') {
    const message = 'Clients can read and forge this cookie, and choose their pod by it';
    return key.mode === 'Passive'
      ? [{ field: `${field}.mode`, message: `${message}; write mode Prefix or Rewrite if that is no good.` }]
      : [{ field: `${field}.format`, message: `${message}; write \`format: Signed\` if that is no good.` }];
  }
  if (!key.preserve) return [];
  const message =
    'Values that the application writes in format Plain are honoured, so clients can forge them and choose their pod; leave `preserve` out if that is no good.';
  return [{ field: `${field}.preserve`, message }];
}

function idleCautions(key: TokenCookieKey, idleTimeout: number, field: string): Caution[] {
  if (idleTimeout === 0 || (key.mode !== 'Rewrite' && key.mode !== 'Prefix')) return [];
  const message = `\`idleTimeout\` does not end sessions of mode ${key.mode}: only the application renews its cookie. Use \`absoluteTimeout\`, or mode Insert.`;
  return [{ field: `${field}.mode`, message }];
}

/** Whoever knows an endpoint's address can make such a cookie: that shall not be so for ever. */
function foreignCautions(key: TokenCookieKey, field: string): Caution[] {
  return key.accept.flatMap(({ product, name, until }, i) => {
    if (until !== Infinity) return [];
    const message = `Clients can forge the cookie "${name}" of ${product} and choose their pod by it, and it is accepted for good; write the time from which it is not, such as \`until: 2027-01-31T00:00:00Z\`.`;
    return [{ field: `${field}.accept[${i}]`, message }];
  });
}
