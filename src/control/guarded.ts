/** For steps that must not take others down with them: a bug of ours is logged, and the caller goes on. */
import type { Logger } from '../telemetry/logger.ts';

/** `what` begins the sentence: `telling the status`. */
export function guarded(logger: Logger, what: string, act: () => void): void {
  try {
    act();
  } catch (error) {
    logger.error({ err: error }, `${what} failed, which is a bug; everything else goes on`);
  }
}
