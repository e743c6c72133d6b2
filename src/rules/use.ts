/** What is done with the value of a key that is read from requests, with all defaults applied. */
import type { KeyUse } from '../model/policy.ts';
import type { HashSettings } from '../model/sticky-policy.ts';

export function keyUse(spec: { readonly hash?: HashSettings | undefined }): KeyUse {
  return {
    mode: 'Hash',
    algorithm: spec.hash?.algorithm ?? 'Rendezvous',
    maxLoadFactor: spec.hash?.maxLoadFactor ?? 0,
  };
}
