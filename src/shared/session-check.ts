/** When the session store was last asked about a key that replicas share: kept in seven flags of its entry, so roughly. */

/** In steps, 1 to 127; 0 = the store does not have the key from us. */
const CHECKED = 0xfe;
const STEP_MS = 250;
const STEPS = 127;

/** ms, Infinity = never. `flags`: the entry's word `SCOPE`; `lastSeen`, `now`: ms since the table's epoch. */
export function sinceCheck(flags: number, lastSeen: number, now: number): number {
  const step = (flags & CHECKED) >>> 1;
  if (step === 0) return Infinity;
  // The steps go round in half a minute; but no key is used for longer than between two checks without one.
  const steps = (stepAt(lastSeen) - step + STEPS) % STEPS;
  return Math.max(0, now - lastSeen) + steps * STEP_MS;
}

/** The flags after a check at `now`, ms since the table's epoch. */
export function withCheck(flags: number, now: number): number {
  return withoutCheck(flags) | (stepAt(now) << 1);
}

export function withoutCheck(flags: number): number {
  return flags & ~CHECKED;
}

function stepAt(time: number): number {
  return 1 + (Math.max(0, Math.floor(time / STEP_MS)) % STEPS);
}
