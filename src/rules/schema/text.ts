/** Bounded texts with a form: tokens, labels, hosts, durations, addresses, patterns. */
import { z } from 'zod';
import { DURATION_PATTERN, parseDuration } from '../../model/duration.ts';
import { parseCidr } from '../../model/ip.ts';
import { regexProblem } from '../re2.ts';
import { type Condition, constrain } from './constrain.ts';

/** Bounds keep the estimated cost of every CEL rule within the API server's budget. */
export const MAX_TEXT = 256;
/** Of a regular expression or one in CEL. */
export const MAX_PROGRAM = 1024;
export const MAX_ITEMS = 16;

/** RFC 9110 section 5.6.2, also RFC 6265 cookie names. */
export const TOKEN = "[!#$%&'*+.^_`|~0-9A-Za-z-]+";
const LABEL = '[a-z0-9]([-a-z0-9]*[a-z0-9])?';

/**
 * A condition on a text's form. The pattern is read by JavaScript and by RE2, so it keeps to what both read alike, and
 * it holds no double quote, so that it fits a raw CEL string.
 */
export function form(pattern: string, message: string): Condition<string> {
  if (pattern.includes('"')) throw new TypeError('a pattern with a double quote does not fit a raw CEL string');
  const regex = new RegExp(pattern);
  return { cel: `self.matches(r"${pattern}")`, holds: (value) => regex.test(value), message };
}

export function text(max: number = MAX_TEXT): z.ZodString {
  return z.string().min(1).max(max);
}

export const label = constrain(
  text(63),
  form(`^${LABEL}$`, 'this is not a DNS label; write lower-case letters, digits and `-`, such as `browsers`'),
);

export const objectName = constrain(
  text(253),
  form(`^${LABEL}(\\.${LABEL})*$`, 'this is not an object name; write lower-case letters, digits, `-` and `.`'),
);

export const headerName = constrain(
  text(),
  form(`^${TOKEN}$`, 'this is not a header name; write letters, digits and `-`, such as `X-Session-Id`'),
);

export const cookieName = constrain(
  text(),
  form(`^${TOKEN}$`, 'this is not a cookie name; write letters, digits, `-` and `_`, such as `SESSION`'),
);

export const method = constrain(
  text(32),
  form('^[A-Z][A-Z0-9_-]*$', 'this is not a method; write it in capitals, such as `GET`'),
);

export const host = constrain(
  text(253),
  form(
    `^(\\*\\.)?[a-z0-9]([-a-z0-9_]*[a-z0-9])?(\\.[a-z0-9_]([-a-z0-9_]*[a-z0-9])?)*$`,
    'this is not a host; write it in lower case without a port, such as `shop.example`, or `*.shop.example` for one label',
  ),
);

const longEnough = (value: string): boolean => (parseDuration(value) ?? 0) >= 1000;

/** GEP-2257. */
export const duration = constrain(
  text(32).meta({ typeText: 'duration' }),
  form(DURATION_PATTERN, 'this is not a duration; write whole numbers with h, m, s or ms, such as `30s` or `1h30m`'),
);

/** `without`: what comes of leaving it out. */
export function durationFromOneSecond(without: string): typeof duration {
  return constrain(duration, {
    cel: `!self.matches(r"${DURATION_PATTERN}") || duration(self) >= duration('1s')`,
    // A text that is no duration at all has been reported already.
    holds: (value) => parseDuration(value) === undefined || longEnough(value),
    message: `this is shorter than a second; write at least \`1s\`, or leave it out for ${without}`,
  });
}

export const cidr = constrain(text(64), {
  cel: 'isCIDR(self)',
  // As in the API server's CEL library, an IPv4-mapped IPv6 block is refused: it has two readings.
  holds: (value) => parseCidr(value) !== undefined && !(value.includes(':') && parseCidr(value)?.version === 4),
  message: 'this is not a CIDR block; write an address and a prefix length, such as `10.0.0.0/8` or `2001:db8::/32`',
});

/** RE2. In CEL a broken pattern is an evaluation error, which refuses the object with RE2's own words. */
export const regex = constrain(text(MAX_PROGRAM), {
  cel: "''.matches(self) ? true : true",
  holds: (value) => regexProblem(value) === undefined,
  why: regexProblem,
  message: 'this is not a regular expression in RE2 syntax; write one such as `^/api/v[0-9]+/`',
});

/** A bounded list; server-side apply replaces it as a whole, so that two appliers never interleave their members. */
export function list<S extends z.ZodType>(item: S, max: number = MAX_ITEMS, min = 1): z.ZodArray<S> {
  return z.array(item).min(min).max(max).meta({ 'x-kubernetes-list-type': 'atomic' });
}
