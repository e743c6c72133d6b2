/** The mutable result of deciding one request, with what its client connection remembers between requests. */
import { OUTCOMES, REASONS } from '../model/decision.ts';
import type { Outcome, Reason } from '../model/decision.ts';
import { ABSENT } from '../model/live.ts';
import type { SessionRegion } from '../model/live.ts';
import type { LiveAffinity } from './build.ts';
import type { EntryScope } from './entry.ts';
import type { KeyRing } from './keyring.ts';
import type { VerifiedToken } from './token.ts';

/** Indices into OUTCOMES and REASONS: counters are rows of numbers. */
export const OUTCOME = indexOf(OUTCOMES);
export const REASON = indexOf(REASONS);

const UNAVAILABLE = 503;

/** What is known of a key that only the session tables of the replicas know. `ALONE`: there is no session store to ask. */
export const ALONE = 0;
export const NOT_ASKED = 1;
export const ANSWERED = 2;
export const UNREACHABLE = 3;

/** All values of a rule's cookie that verify. Depends on the cookie text and the keys only, so it can be remembered. */
export interface TokenReading {
  /** In the policy's scope, those under the name that is written first, else in the order they were sent. */
  readonly tokens: readonly VerifiedToken[];
  /** How many of `tokens` came under the name that is written. */
  readonly underIssueName: number;
  /** In the Service's own scope, for a policy with a group. */
  readonly own: readonly VerifiedToken[];
  /** REASONS index: why `tokens` is empty, or `no_token`. */
  readonly fault: number;
}

/** One per client connection, reused for its requests: `begin()`, then `decide()` as often as it takes. */
export class Decision {
  /** Index into the pool's endpoints; -1 = none (rejected). */
  endpoint = -1;
  /** `OUTCOMES[outcome]`, `REASONS[reason]`. */
  outcome: number = OUTCOME.stateless;
  reason: number = REASON['-'];
  /** Index of the policy's rule that chose; -1 = none did. */
  rule = -1;
  /** Status to answer when rejected, else 0. */
  status = 0;
  /** Index of the rule whose token goes on the answer; -1 = no token. */
  issue = -1;
  /** The token is issued in this Service's own scope, not the group's. */
  own = false;
  /** After a connect failure, wait and decide again while the endpoint is within `notReadyGrace`, before adding it to `tried`. */
  retryOwn = false;
  /** The session stays where it is, and the endpoint is another one like its own (`stickTo`). */
  stays = false;
  /** The session id: from the token, or drawn for a new session. */
  sessionHigh = 0;
  sessionLow = 0;
  /** The session table's region and fingerprint of this request's session; region -1 = it has none that is recorded. */
  region: SessionRegion | -1 = -1;
  entryHigh = 0;
  entryLow = 0;
  entryScope = 0;
  /** ms that the table keeps it after its last use. */
  entryLife = 0;
  /** Of a key in mode Table or Learn: the ref that the table had for it, or `ABSENT`. */
  expected: number = ABSENT;
  /** Wall clock ms: an entry of such a key that began before is over. */
  born = 0;
  /** Wall clock ms of the last use of such a key. */
  lastSeen = 0;
  /** The table has the session at the chosen endpoint already, although its token does not say so: a move by rebalancing. */
  moveClaimed = false;
  /** Tokens of this request say when they were made, whatever the policy: there is an override that they are to be told from. */
  dated = false;
  /** Wall clock ms at which such an entry began. */
  began = 0;
  /** ms by which such an entry is extended while the request is open. */
  extend = 0;
  /** Such a key's text, and the scope of its entry. */
  key = '';
  scope: EntryScope | undefined = undefined;
  /** How far the session store has been asked about it: `ALONE` … `UNREACHABLE`; about its entry of which scope. */
  asked: number;
  askedScope: EntryScope | undefined = undefined;
  /** What the store calls the key's endpoint, and since when it has the key, wall clock ms; empty = it does not know the key. */
  foundTag = '';
  foundBegan = 0;
  /** The store is to be asked before this can be decided. */
  asks = false;
  /** The store was told that the key is at this endpoint: `NOT_ASKED`, `ANSWERED` or `UNREACHABLE`. */
  claimed: number = NOT_ASKED;
  /** The session begins only when the answer carries its token. */
  onIssue = false;
  /** The token that chose the endpoint, whichever rule's it is; undefined = none did. */
  bound: VerifiedToken | undefined = undefined;
  /** As `bound`, when it is another product's cookie that chose; undefined = none did. */
  foreign: VerifiedToken | undefined = undefined;
  /** A cookie of the backend got our token on the way to the client. */
  edited = false;
  /** The live token that the issuing rule's cookie carried; undefined = none. */
  token: VerifiedToken | undefined = undefined;
  /** `token` came under another spelling of the cookie's name than the one written. */
  otherName = false;
  /** The session's endpoint may come back: wall clock ms until which the request is to wait and be decided again; 0 = it need not. */
  waitUntil = 0;
  /** What it waits for, as in `LivePool.left`; valid while `waitUntil` is not 0. */
  waitFor = '';
  /** Slots of endpoints that the lane could not connect to for this request: never chosen again. */
  readonly tried: number[] = [];

  /** `invalid_token` or `unknown_key` when the request carried one that does not verify, whatever was decided; else -1. */
  tokenFault = -1;

  /** Why no live token was found, as a REASONS index. Internal to `decide`. */
  fault: number = REASON.no_token;
  /** Memo of the last reading; valid while all of these are the same. Internal. */
  memoCookie = '';
  memoAffinity: LiveAffinity | undefined = undefined;
  memoKeys: KeyRing | undefined = undefined;
  memoRule = -1;
  memoReading: TokenReading | undefined = undefined;

  readonly #first: number;
  #drawn = false;
  #drawnHigh = 0;
  #drawnLow = 0;

  /** `shares`: other replicas share the keys that only the session table knows. */
  constructor(shares = false) {
    this.#first = shares ? NOT_ASKED : ALONE;
    this.asked = this.#first;
  }

  get outcomeName(): Outcome {
    return OUTCOMES[this.outcome] ?? 'stateless';
  }

  get reasonName(): Reason {
    return REASONS[this.reason] ?? '-';
  }

  /** Starts a request. */
  begin(): void {
    // Setting a length leaves compiled code.
    if (this.tried.length > 0) this.tried.length = 0;
    this.#drawn = false;
    this.asked = this.#first;
    this.askedScope = undefined;
    this.clear();
  }

  /** Forgets the last result, not what has been tried or drawn for this request. */
  clear(): void {
    this.endpoint = -1;
    this.outcome = OUTCOME.stateless;
    this.reason = REASON['-'];
    this.rule = -1;
    this.status = 0;
    this.issue = -1;
    this.own = false;
    this.retryOwn = false;
    this.stays = false;
    this.bound = undefined;
    this.foreign = undefined;
    this.edited = false;
    this.token = undefined;
    this.otherName = false;
    this.fault = REASON.no_token;
    this.tokenFault = -1;
    this.region = -1;
    this.onIssue = false;
    this.moveClaimed = false;
    this.dated = false;
    this.waitUntil = 0;
    this.asks = false;
    this.claimed = NOT_ASKED;
  }

  choose(endpoint: number, outcome: number, reason: number): void {
    this.endpoint = endpoint;
    this.outcome = outcome;
    this.reason = reason;
  }

  reject(reason: number, status: number): void {
    this.choose(-1, OUTCOME.rejected, reason);
    this.status = status;
    this.issue = -1;
    this.retryOwn = false;
    this.stays = false;
    this.region = -1;
  }

  /** Rejected, unless the session's endpoint comes back until then (wall clock, ms). */
  wait(until: number, endpoint: string): void {
    this.reject(REASON.endpoint_gone, UNAVAILABLE);
    this.waitUntil = until;
    this.waitFor = endpoint;
  }

  /** Rejected, unless the session store is asked about the key, which makes it another decision. */
  ask(): void {
    this.reject(REASON['-'], UNAVAILABLE);
    this.asks = true;
  }

  /** What the store says, or does not: `answer` is `ANSWERED` or `UNREACHABLE`. */
  told(answer: number, tag: string, began: number): void {
    this.asked = answer;
    this.askedScope = this.scope;
    this.foundTag = tag;
    this.foundBegan = began;
  }

  /** A new session's id: one per request, however often it is decided. `source` gives unsigned 32-bit integers. */
  drawSession(source: { random(): number }): void {
    if (!this.#drawn) {
      this.#drawnHigh = source.random() | 0;
      this.#drawnLow = source.random() | 0;
      this.#drawn = true;
    }
    this.sessionHigh = this.#drawnHigh;
    this.sessionLow = this.#drawnLow;
  }
}

function indexOf<const T extends string>(names: readonly T[]): Readonly<Record<T, number>> {
  const result: Partial<Record<T, number>> = {};
  for (const [i, name] of names.entries()) result[name] = i;
  return result as Record<T, number>;
}
