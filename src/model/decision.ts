/** The outcome of deciding one request: vocabulary shared by the data path, metrics and logs. */

export const OUTCOMES = ['new', 'kept', 'moved', 'rejected', 'stateless'] as const;
export type Outcome = (typeof OUTCOMES)[number];

/** Why; only reasons of capabilities that exist are listed. */
export const REASONS = [
  '-',
  'no_token',
  'invalid_token',
  'unknown_key',
  'accepted_foreign',
  'idle_expired',
  'absolute_expired',
  'endpoint_gone',
  'not_ready',
  'connect_failed',
  'drain',
  'drain_timeout',
  'rehash',
  'rebalance',
  'override',
  'capacity',
  'no_endpoints',
  'ignored',
  'missing_key',
] as const;
export type Reason = (typeof REASONS)[number];
