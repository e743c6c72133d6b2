/** Which side of a canary pair a request asks for, in ingress-nginx's order: header, then cookie. */
import type { Canary } from '../model/canary.ts';
import type { RequestFacts } from '../model/facts.ts';
import { cookieValues } from '../rules/cookie/read.ts';
import type { RegexCompiler } from '../rules/kind.ts';

/** Indices of the two parts of the pair. */
export const PRIMARY = 0;
export const CANARY = 1;
/** It does not say. */
export const EITHER = -1;
export type Side = typeof PRIMARY | typeof CANARY | typeof EITHER;

type Wish = (facts: RequestFacts) => Side;

export function canaryWish({ header, cookie }: Canary, regex: RegexCompiler): Wish {
  const byHeader = header === undefined ? undefined : headerWish(header, regex);
  const cookies = cookie === undefined ? [] : [cookie];
  return (facts) => {
    const side = byHeader === undefined ? EITHER : byHeader(facts);
    if (side !== EITHER || cookies.length === 0 || facts.cookie === '') return side;
    return sideOf(cookieValues(facts.cookie, cookies)[0]);
  };
}

function headerWish({ name, value, pattern }: NonNullable<Canary['header']>, regex: RegexCompiler): Wish {
  if (value !== undefined) return (facts) => (facts.header(name) === value ? CANARY : EITHER);
  if (pattern === undefined) return (facts) => sideOf(facts.header(name));
  const matcher = regex(pattern, false);
  return (facts) => {
    const text = facts.header(name);
    return text !== undefined && matcher.test(text) ? CANARY : EITHER;
  };
}

function sideOf(text: string | undefined): Side {
  if (text === 'always') return CANARY;
  return text === 'never' ? PRIMARY : EITHER;
}
