/** Taking a part of a key's value: by position, between two strings, or by regular expression. */
import type { Extract } from '../model/sticky-policy.ts';
import type { RegexCompiler } from './kind.ts';

/** undefined = key missing; an empty result counts as missing. */
export type Extractor = (value: string) => string | undefined;

export function extractPart(spec: Extract | undefined, regex: RegexCompiler): Extractor {
  const part = spec === undefined ? whole : shape(spec, regex);
  return (value) => {
    const result = part(value);
    return result === '' ? undefined : result;
  };
}

function whole(value: string): string {
  return value;
}

function shape(spec: Extract, regex: RegexCompiler): Extractor {
  if (spec.regex !== undefined) {
    const compiled = regex(spec.regex, false);
    return (value) => compiled.firstGroup(value);
  }
  if (spec.after !== undefined) return between(spec.after, spec.skip, spec.until);
  const start = spec.offset ?? 0;
  const end = spec.length === undefined ? undefined : start + spec.length;
  return (value) => value.slice(start, end);
}

/**
 * F5's `findstr(string, after, skip, until)`: `skip` counts from where `after` begins, so that an iRule's numbers can be
 * taken over. Without `skip` the part starts behind `after`.
 */
function between(after: string, skip: number | undefined, until: string | undefined): Extractor {
  const step = skip ?? after.length;
  return (value) => {
    const found = value.indexOf(after);
    if (found < 0) return undefined;
    const start = found + step;
    const end = until === undefined || until === '' ? -1 : value.indexOf(until, start);
    return end < 0 ? value.slice(start) : value.slice(start, end);
  };
}
