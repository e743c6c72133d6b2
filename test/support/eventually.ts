/** Waiting for something to become true, with a deadline: the alternative to sleeping and hoping. */

const EVERY_MS = 10;

/**
 * Calls `look` until it neither throws nor gives `undefined` or `false`, and gives what it gave.
 * After `deadline` ms it fails with the last error.
 */
export async function eventually<T>(
  look: () => T | Promise<T>,
  deadline = 10_000,
): Promise<Exclude<T, undefined | false>> {
  const until = performance.now() + deadline;
  for (;;) {
    let failure: unknown = new Error(`it did not happen within ${deadline} ms: ${look.toString()}`);
    try {
      const found = await look();
      if (found !== undefined && found !== false) return found as Exclude<T, undefined | false>;
    } catch (error) {
      failure = error;
    }
    if (performance.now() >= until) throw failure;
    await new Promise((resolve) => setTimeout(resolve, EVERY_MS));
  }
}

/** The value of `look` once it has not changed for half a second: whatever moved it stands still. */
export async function settled(look: () => number | Promise<number>, deadline = 10_000): Promise<number> {
  const until = performance.now() + deadline;
  let last = await look();
  for (let same = 0; same < 5; same++) {
    if (performance.now() >= until) throw new Error(`it did not stand still within ${deadline} ms: ${look.toString()}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
    const now = await look();
    if (now !== last) same = -1;
    last = now;
  }
  return last;
}
