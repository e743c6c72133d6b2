/** How many file descriptors this process may have open, as the operating system limits it. */
import { readFileSync } from 'node:fs';

/** Of the descriptors, so many may be idle connections to endpoints (HAProxy's `pool-high-fd-ratio` is 25 %, too). */
const IDLE_SHARE = 0.25;

/** For one of so many workers. */
export function maxIdleUpstreams(workers: number): number {
  return Math.max(1, Math.floor((openFilesLimit() * IDLE_SHARE) / workers));
}

/** Infinity where the system does not say (proc_pid_limits(5) is Linux's) or sets no limit. */
function openFilesLimit(): number {
  try {
    const soft = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1];
    return soft === undefined ? Infinity : Number(soft);
  } catch {
    return Infinity;
  }
}
