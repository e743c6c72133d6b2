/** Tells clients that begin with HTTP/2 on a plain connection (prior knowledge, RFC 9113 section 3.3) from those of HTTP/1. */
import type { Socket } from 'node:net';
import type { FirstReads } from './first-reads.ts';

/** No method of HTTP/1 begins like the preface. */
const BEGINNING = 'PRI';

/** @param then gets the connection paused, nothing of it taken */
export function readVersion(reads: FirstReads, accepted: Socket, then: (version: 1 | 2) => void): void {
  reads.read(accepted, {
    look: (bytes) => {
      const text = bytes.toString('latin1', 0, BEGINNING.length);
      if (!BEGINNING.startsWith(text)) return { length: 0, version: 1 as const };
      return text === BEGINNING ? { length: 0, version: 2 as const } : undefined;
    },
    found: ({ version }) => then(version),
    ended: () => void accepted.destroy(),
  });
}
