/** Durations as users write them: GEP-2257 text such as `1h30m` to and from milliseconds. */

/** GEP-2257: one to four numbers of at most five digits, each with a unit; the same text Go's time.ParseDuration reads. */
export const DURATION_PATTERN = '^([0-9]{1,5}(h|m|s|ms)){1,4}$';

const WHOLE = new RegExp(DURATION_PATTERN);
const UNITS = [
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1000],
  ['ms', 1],
] as const;
const MS_PER_UNIT: ReadonlyMap<string, number> = new Map(UNITS);
const LONGEST_HOURS = 99_999;

/** Milliseconds of a GEP-2257 duration; undefined = not one. `0s` is 0. */
export function parseDuration(text: string): number | undefined {
  if (!WHOLE.test(text)) return undefined;
  let total = 0;
  for (const [, digits, unit] of text.matchAll(/([0-9]+)(ms|h|m|s)/g)) {
    total += Number(digits) * (MS_PER_UNIT.get(unit ?? '') ?? 0);
  }
  return total;
}

/**
 * The shortest GEP-2257 text of a whole number of milliseconds; `0s` for 0.
 * Throws RangeError for what the notation cannot say: negative, fractional, or more than 99999 hours.
 */
export function formatDuration(ms: number): string {
  if (!Number.isInteger(ms) || ms < 0 || ms >= (LONGEST_HOURS + 1) * 3_600_000) {
    throw new RangeError(`${String(ms)} ms cannot be written as a duration`);
  }
  let rest = ms;
  let text = '';
  for (const [unit, size] of UNITS) {
    const count = Math.floor(rest / size);
    rest -= count * size;
    if (count > 0) text += `${String(count)}${unit}`;
  }
  return text === '' ? '0s' : text;
}
