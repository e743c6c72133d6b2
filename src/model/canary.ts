/** A canary as the annotations of its Ingress describe it: which requests go there. */

export interface Canary {
  /** `value`: exactly this; `pattern`: RE2; neither: `always` and `never`. undefined = no header counts. */
  readonly header:
    | {
        /** Lower case. */
        readonly name: string;
        readonly value?: string;
        readonly pattern?: string;
      }
    | undefined;
  /** Name of a cookie that says `always` or `never`. */
  readonly cookie: string | undefined;
  /** Of `total` new sessions. */
  readonly weight: number;
  readonly total: number;
  /** It has no sessions: header, cookie and weight choose for each request. */
  readonly legacy: boolean;
  /** Header and cookie count before a session does. */
  readonly overrides: boolean;
}
