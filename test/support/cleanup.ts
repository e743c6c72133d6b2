/** Whatever a test file started is closed at its end, in reverse order, also when a test fails. */
import { afterAll } from 'vitest';

const closers: (() => Promise<unknown>)[] = [];

/** Makes `close` run at the end of the file; it must not mind running a second time. */
export function closeAtEnd(close: () => Promise<unknown>): void {
  closers.push(close);
}

afterAll(async () => {
  const failures: unknown[] = [];
  for (const close of closers.splice(0).reverse()) {
    await close().catch((error: unknown) => failures.push(error));
  }
  if (failures.length > 0) throw new AggregateError(failures, 'something could not be closed');
});
