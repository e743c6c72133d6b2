/** LeastSessions: the fewest sessions in the session table; ties go to the least recently chosen. */
import { fewest } from './fewest.ts';

export const leastSessions = fewest((meters, slot) => meters.sessions(slot));
