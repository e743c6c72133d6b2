/** What is done with the value of a key that is read from requests, with all defaults applied. */
import { parseDuration } from '../model/duration.ts';
import type { KeyUse } from '../model/policy.ts';
import type { KeyUse as KeyUseSpec } from '../model/sticky-policy.ts';

/** LVS's default for a persistent client. */
const IDLE = 360_000;
/** As LVS extends the record of a client that still has connections. */
const EXTEND = 120_000;

/** `idleTimeout`: the policy's, ms; 0 = it has none. */
export function keyUse({ mode, hash, table }: KeyUseSpec, idleTimeout: number): KeyUse {
  if (mode === 'Table' || mode === 'Learn') {
    return {
      mode,
      idleTimeout: milliseconds(table?.idleTimeout) ?? (idleTimeout > 0 ? idleTimeout : IDLE),
      extendWhileActive: milliseconds(table?.extendWhileActive) ?? EXTEND,
    };
  }
  return { mode: 'Hash', algorithm: hash?.algorithm ?? 'Rendezvous', maxLoadFactor: hash?.maxLoadFactor ?? 0 };
}

function milliseconds(duration: string | undefined): number | undefined {
  return duration === undefined ? undefined : parseDuration(duration);
}
