/** What a policy does that its author may not expect: told as Problems and in the policy's status. */
import type { CompiledPolicy, TokenCookieKey } from '../../model/policy.ts';

export interface Caution {
  /** As in `Problem.field`. */
  readonly field: string;
  readonly message: string;
}

export function cautionsOf({ rules, idleTimeout }: CompiledPolicy): Caution[] {
  return rules.flatMap(({ key }, rule) => {
    if (key.kind !== 'cookie' || key.mode === 'Hash') return [];
    const field = `spec.rules[${rule}].cookie`;
    return [...plainCautions(key, field), ...idleCautions(key, idleTimeout, field)];
  });
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
