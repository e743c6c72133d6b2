/** Key `none`: requests that are balanced freely, even with a token. */
import type { RuleKind } from '../kind.ts';

export const noneRule: RuleKind<Record<string, never>, { readonly kind: 'none' }> = {
  compile: () => ({ kind: 'none' }),
  extractor: () => undefined,
};
