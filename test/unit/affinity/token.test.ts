/** Tests of keys, tokens and the memo of verified tokens. */
import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { KeyRing } from '../../../src/affinity/keyring.ts';
import { TokenMemo } from '../../../src/affinity/token-memo.ts';
import { createToken, verifyToken } from '../../../src/affinity/token.ts';
import type { TokenFields } from '../../../src/affinity/token.ts';
import { HOUR, KEYS, key, NOW } from './fixtures.ts';

const SCOPE = 'shop/policy/web';
const fields = (changes: Partial<TokenFields> = {}): TokenFields => ({
  prefix: KEYS.endpointPrefix(0, 'uid:a'),
  keyId: 0,
  sessionHigh: -5,
  sessionLow: 7,
  issuedAt: NOW,
  lastSeen: NOW + 1000,
  service: 'shop/web',
  version: undefined,
  ...changes,
});

describe('key ring', () => {
  test('the newest key whose time has come issues', () => {
    const ring = KeyRing.from([key(0, 100), key(1, 300), key(2, 200)]);
    expect([50, 100, 250, 300].map((now) => ring.issuing(now))).toEqual([0, 0, 2, 1]);
    expect(KeyRing.from([]).issuing(0)).toBe(-1);
  });

  test('refuses what no ring can hold', () => {
    expect(() => KeyRing.from([key(16)])).toThrow(RangeError);
    expect(() => KeyRing.from([key(1), key(1)])).toThrow(RangeError);
    expect(() => KeyRing.from([{ id: 0, key: new Uint8Array(31), issueFrom: 0 }])).toThrow(RangeError);
    expect(() => KeyRing.from([0, 1, 2, 3, 4].map((id) => key(id)))).toThrow(RangeError);
  });

  test('T5 prefixes and tags depend on the key and reveal nothing of the identity', () => {
    const ring = KeyRing.from([key(0), key(1)]);
    const a = ring.endpointPrefix(0, 'addr:10.0.0.4:80');
    const b = ring.endpointPrefix(0, 'addr:10.0.0.5:80');
    expect(a).toHaveLength(12);
    expect(ring.endpointPrefix(1, 'addr:10.0.0.4:80').slice(2)).not.toBe(a.slice(2));
    const bits = (text: string) =>
      [...Buffer.from(text, 'base64url')].map((x) => x.toString(2).padStart(8, '0')).join('');
    const tags = [bits(a).slice(8), bits(b).slice(8)] as const;
    const differing = [...tags[0]].filter((bit, i) => bit !== tags[1][i]).length;
    expect(differing).toBeGreaterThan(16);
    expect(ring.backendTag(0, 'shop/web')).toBeLessThan(2 ** 24);
  });

  test('versions have a tag of two bytes under each key, none has 0', () => {
    const ring = KeyRing.from([key(0), key(1)]);
    const tags = ['v1', 'v2'].flatMap((version) => [ring.versionTag(0, version), ring.versionTag(1, version)]);
    expect(new Set(tags).size).toBe(4);
    for (const tag of tags) expect(tag > 0 && tag <= 0xffff).toBe(true);
    expect(ring.versionTag(0, undefined)).toBe(0);
    expect(ring.versionTag(0, 'v1')).toBe(tags[0]);
  });
});

describe('token', () => {
  test('is 56 characters that give back their fields', () => {
    const text = createToken(fields(), SCOPE, KEYS);
    expect(text).toMatch(/^[\w-]{56}$/);
    expect(verifyToken(text, SCOPE, KEYS, NOW)).toEqual({
      text,
      backend: KEYS.backendTag(0, 'shop/web'),
      prefix: KEYS.endpointPrefix(0, 'uid:a'),
      scope: SCOPE,
      keyId: 0,
      sessionHigh: -5,
      sessionLow: 7,
      issuedAt: NOW,
      lastSeen: NOW + 1000,
      version: 0,
      plainId: '',
    });
    const named = verifyToken(createToken(fields({ version: 'v1' }), SCOPE, KEYS), SCOPE, KEYS, NOW);
    expect(named).toMatchObject({ version: KEYS.versionTag(0, 'v1') });
  });

  test('T3 any flipped bit, any guess is invalid', () => {
    const text = createToken(fields(), SCOPE, KEYS);
    for (let bit = 8; bit < 42 * 8; bit++) {
      const bytes = Buffer.from(text, 'base64url');
      bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ (128 >> (bit & 7));
      expect(verifyToken(bytes.toString('base64url'), SCOPE, KEYS, NOW)).toBe('invalid_token');
    }
    const guesses = [
      'http://10.0.0.5:8080',
      Buffer.from('10.0.0.5:8080').toString('base64'),
      '',
      text.slice(1),
      `${text}A`,
    ];
    for (const kind of ['md5', 'sha1', 'sha256']) guesses.push(createHash(kind).update('10.0.0.5:8080').digest('hex'));
    for (const guess of guesses) expect(verifyToken(guess, SCOPE, KEYS, NOW)).toBe('invalid_token');
  });

  test('another spelling of the same bytes is invalid', () => {
    const text = createToken(fields(), SCOPE, KEYS);
    expect(verifyToken(text.replaceAll('-', '+').replaceAll('_', '/').replace(/^./, '+'), SCOPE, KEYS, NOW)).toBe(
      'invalid_token',
    );
  });

  test('T4 is valid in its scope only', () => {
    const text = createToken(fields(), SCOPE, KEYS);
    expect(verifyToken(text, 'shop/policy/cart', KEYS, NOW)).toBe('invalid_token');
    expect(verifyToken(text, 'other/policy/web', KEYS, NOW)).toBe('invalid_token');
  });

  test('T6 a key that is gone is an unknown key', () => {
    const text = createToken(fields(), SCOPE, KEYS);
    expect(verifyToken(text, SCOPE, KeyRing.from([key(1)]), NOW)).toBe('unknown_key');
  });

  test('T7 more than a day in the future is invalid', () => {
    const issued = (at: number) =>
      verifyToken(createToken(fields({ issuedAt: at, lastSeen: 0 }), SCOPE, KEYS), SCOPE, KEYS, NOW);
    expect(issued(NOW + 23 * HOUR)).toMatchObject({ lastSeen: 0 });
    expect(issued(NOW + 25 * HOUR)).toBe('invalid_token');
  });

  test('never throws', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.base64String({ minLength: 56, maxLength: 56 })), (text) => {
        expect(typeof verifyToken(text, SCOPE, KEYS, NOW)).toBe('string');
      }),
    );
  });
});

describe('memo', () => {
  test('keeps verified tokens only, bounded, and forgets with the keys', () => {
    const memo = new TokenMemo(8);
    const texts = Array.from({ length: 50 }, (_, i) => createToken(fields({ sessionLow: i }), SCOPE, KEYS));
    for (const text of texts) {
      expect(memo.verify(text, SCOPE, KEYS, NOW)).toMatchObject({ text });
      memo.verify(`${text.slice(0, 55)}!`, SCOPE, KEYS, NOW);
      expect(memo.size).toBeLessThanOrEqual(8);
    }
    const last = texts.at(-1) ?? '';
    expect(memo.verify(last, SCOPE, KEYS, NOW)).toBe(memo.verify(last, SCOPE, KEYS, NOW));
    expect(memo.verify(last, 'another/scope', KEYS, NOW)).toBe('invalid_token');
    expect(memo.verify(last, SCOPE, KeyRing.from([key(1)]), NOW)).toBe('unknown_key');
  });

  test('a token in use outlives many that are not', () => {
    const memo = new TokenMemo(8);
    const used = memo.verify(createToken(fields(), SCOPE, KEYS), SCOPE, KEYS, NOW);
    if (typeof used === 'string') throw new Error(used);
    for (let i = 0; i < 30; i++) {
      memo.verify(createToken(fields({ sessionLow: 100 + i }), SCOPE, KEYS), SCOPE, KEYS, NOW);
      expect(memo.verify(used.text, SCOPE, KEYS, NOW)).toBe(used);
    }
  });
});
