/** For work that nobody waits for, and that has dealt with every failure itself: what is thrown all the same is a bug. */
export function detached(work: Promise<unknown>): void {
  work.catch((error: unknown) => {
    // Out of the promise: the main thread replaces the worker.
    setImmediate(() => {
      throw error;
    });
  });
}
