/** The signed token: 42 bytes as 56 base64url characters, readable only with the session keys. */
import { timingSafeEqual } from 'node:crypto';
import { BACKEND_TAG_BYTES, TOKEN_FORMAT } from './keyring.ts';
import type { KeyRing } from './keyring.ts';

export const TOKEN_LENGTH = 56;
/** Format and key id, endpoint tag. */
const PREFIX_LENGTH = 12;

/** Offsets of the fields; all numbers are big-endian. */
const SESSION = 9;
const ISSUED_AT = 17;
const LAST_SEEN = 21;
const BACKEND = 25;
const VERSION = 28;
const MAC = 30;
const TOTAL = 42;

/** A clock that is wrong by more than this is not skew. HAProxy has the same tolerance. */
export const FUTURE_TOLERANCE = 24 * 60 * 60 * 1000;

export interface VerifiedToken {
  readonly text: string;
  /** First 12 characters: key of `IdentityView.byPrefix`. */
  readonly prefix: string;
  readonly scope: string;
  readonly keyId: number;
  /** The session id as two signed 32-bit words. */
  readonly sessionHigh: number;
  readonly sessionLow: number;
  /** Wall clock, ms (whole seconds); 0 = a plain value does not say. */
  readonly issuedAt: number;
  /** Wall clock, ms (whole seconds); 0 = the token does not say. */
  readonly lastSeen: number;
  /** `KeyRing.backendTag` of its Service; 0 = a value that does not say. */
  readonly backend: number;
  /** `KeyRing.versionTag` of the endpoint's version; 0 = not known. */
  readonly version: number;
  /** The endpoint's id in a value of format Plain, which nobody has verified; empty = a signed token. */
  readonly plainId: string;
}

export type TokenFault = 'invalid_token' | 'unknown_key';

export interface TokenFields {
  readonly prefix: string;
  readonly keyId: number;
  readonly sessionHigh: number;
  readonly sessionLow: number;
  /** ms */
  readonly issuedAt: number;
  /** ms; 0 = none */
  readonly lastSeen: number;
  /** `namespace/name` */
  readonly service: string;
  /** The endpoint's; undefined = not known. */
  readonly version: string | undefined;
}

export function createToken(fields: TokenFields, scope: string, keys: KeyRing): string {
  const bytes = Buffer.alloc(TOTAL);
  bytes.write(fields.prefix, 0, 'base64url');
  bytes.writeInt32BE(fields.sessionHigh, SESSION);
  bytes.writeInt32BE(fields.sessionLow, SESSION + 4);
  bytes.writeUInt32BE(seconds(fields.issuedAt), ISSUED_AT);
  bytes.writeUInt32BE(seconds(fields.lastSeen), LAST_SEEN);
  bytes.writeUIntBE(keys.backendTag(fields.keyId, fields.service), BACKEND, BACKEND_TAG_BYTES);
  bytes.writeUInt16BE(keys.versionTag(fields.keyId, fields.version), VERSION);
  keys.mac(fields.keyId, bytes.subarray(0, MAC), scope).copy(bytes, MAC);
  return bytes.toString('base64url');
}

/** Whether a text could be a token, forged or not. */
export function isTokenShaped(text: string): boolean {
  return text.length === TOKEN_LENGTH && /^[\w-]+$/.test(text);
}

/** A token of another scope fails its MAC like a forged one: the two cannot be told apart, and need not be. */
export function verifyToken(text: string, scope: string, keys: KeyRing, now: number): VerifiedToken | TokenFault {
  if (!isTokenShaped(text)) return 'invalid_token';
  const bytes = Buffer.from(text, 'base64url');
  const first = bytes[0] ?? 0;
  if (first >> 4 !== TOKEN_FORMAT) return 'invalid_token';
  const keyId = first & 15;
  if (!keys.has(keyId)) return 'unknown_key';
  if (!timingSafeEqual(keys.mac(keyId, bytes.subarray(0, MAC), scope), bytes.subarray(MAC))) return 'invalid_token';
  const issuedAt = bytes.readUInt32BE(ISSUED_AT) * 1000;
  const lastSeen = bytes.readUInt32BE(LAST_SEEN) * 1000;
  if (Math.max(issuedAt, lastSeen) > now + FUTURE_TOLERANCE) return 'invalid_token';
  return {
    text,
    prefix: text.slice(0, PREFIX_LENGTH),
    scope,
    keyId,
    sessionHigh: bytes.readInt32BE(SESSION),
    sessionLow: bytes.readInt32BE(SESSION + 4),
    issuedAt,
    lastSeen,
    backend: bytes.readUIntBE(BACKEND, BACKEND_TAG_BYTES),
    version: bytes.readUInt16BE(VERSION),
    plainId: '',
  };
}

function seconds(ms: number): number {
  return Math.max(0, Math.floor(ms / 1000)) >>> 0;
}
