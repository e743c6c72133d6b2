/** What was said by hand about a session, in place of what its tokens say. */
export interface Override {
  /** The session's fingerprint in the session table. */
  readonly high: number;
  readonly low: number;
  /** Wall clock ms: it counts for tokens that were made before. */
  readonly from: number;
  /** Wall clock ms: it is kept until then. */
  readonly until: number;
  /** The first 12 characters of tokens that name the endpoint; undefined = the session has ended. */
  readonly to?: string | undefined;
}
