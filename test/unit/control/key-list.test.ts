/** The written list of session keys, and its rotation. */
import { describe, expect, test } from 'vitest';
import { KeyRing, type SessionKey } from '../../../src/affinity/keyring.ts';
import { firstKeys, formatSessionKeys, parseSessionKeys, rotateKeys } from '../../../src/control/key-list.ts';

const NOW = Date.UTC(2026, 0, 1);
const MINUTE = 60_000;
let filled = 0;
const random = (size: number): Uint8Array => new Uint8Array(size).fill(++filled % 256);

function rotate(keys: readonly SessionKey[], now: number, keep = 2): SessionKey[] {
  return rotateKeys(keys, { keep, now, random });
}

const ids = (keys: readonly SessionKey[]): number[] => keys.map(({ id }) => id);

describe('the text', () => {
  test('comes back as it was', () => {
    const keys = rotate(firstKeys(NOW, random), NOW);
    expect(parseSessionKeys(formatSessionKeys(keys), 'here')).toEqual(keys);
  });

  test('no part of what cannot be read goes into the message', () => {
    const secret = 'c2VjcmV0c2VjcmV0';
    for (const text of [`[{"key": ${secret}}]`, `{"key": "${secret}"}`, `[{"id": 0, "key": "${secret}"}]`, secret]) {
      let message = '';
      try {
        parseSessionKeys(text, 'here');
      } catch (error) {
        message = String((error as Error).stack) + String((error as Error).cause);
      }
      expect(message).toContain('session keys: here');
      expect(message).not.toContain(secret.slice(0, 4));
    }
  });
});

test('what the session store is named by outlives every key, and says so in the list', () => {
  let keys: readonly SessionKey[] = firstKeys(NOW, random);
  const ring = () => KeyRing.from(keys);
  const [name, tag] = [ring().storeName('scope', 'key'), ring().storeTag('uid')];
  expect(name).toMatch(/^holdfast:[\w-]{22}$/);
  for (let time = NOW; time < NOW + 60 * MINUTE; time += 10 * MINUTE) {
    keys = parseSessionKeys(formatSessionKeys(rotate(keys, time)), 'here');
    expect([ring().storeName('scope', 'key'), ring().storeTag('uid')]).toEqual([name, tag]);
  }
  expect(KeyRing.from(firstKeys(NOW, random)).storeName('scope', 'key')).not.toBe(name);
  expect(ring().storeName('scope2', 'key')).not.toBe(name);
  expect(ring().storeTag('other')).not.toBe(tag);
  expect(ring().ids.map((id) => ring().endpointPrefix(id, 'uid'))).not.toContain(tag);
});

test('a list has one value of store', () => {
  const list = rotate(firstKeys(NOW, random), NOW).map((key, i) => ({ ...key, store: new Uint8Array(32).fill(i) }));
  expect(() => parseSessionKeys(formatSessionKeys(list), 'here')).toThrow('several values of store');
  const short = formatSessionKeys(firstKeys(NOW, random)).replace('"id": 0', '"id": 0, "store": "AAAA"');
  expect(() => parseSessionKeys(short, 'here')).toThrow('store must be base64 of at least 32 bytes');
});

describe('rotation', () => {
  test('the new key signs two minutes later, until then the old one', () => {
    const keys = rotate(firstKeys(NOW, random), NOW);
    const ring = KeyRing.from(keys);
    expect(ring.issuing(NOW + 2 * MINUTE - 1)).toBe(0);
    expect(ring.issuing(NOW + 2 * MINUTE)).toBe(1);
  });

  test('three in a row keep the key that signs; a fourth is refused and says when', () => {
    let keys = firstKeys(NOW, random);
    for (let i = 1; i <= 3; i++) keys = rotate(keys, NOW + i);
    expect(ids(keys)).toEqual([0, 1, 2, 3]);
    expect(KeyRing.from(keys).issuing(NOW + 4)).toBe(0);
    expect(() => rotate(keys, NOW + 5)).toThrow('rotate again after 2026-01-01T00:02:00Z');
  });

  test('of the keys in force the newest stay', () => {
    let keys = firstKeys(NOW, random);
    for (let i = 1; i <= 3; i++) keys = rotate(keys, NOW + i * 10 * MINUTE);
    expect(ids(keys)).toEqual([1, 2, 3]);
    expect(ids(rotate(keys, NOW + 60 * MINUTE, 1))).toEqual([3, 4]);
    expect(() => rotate(rotate(keys, NOW + 60 * MINUTE, 3), NOW + 120 * MINUTE, 4)).toThrow('--keep 3 or less');
  });

  test('a key that waits is never overtaken, and ids go round without a clash', () => {
    let keys: SessionKey[] = [{ id: 15, key: random(32), issueFrom: NOW }];
    keys = rotate(keys, NOW);
    keys = rotate(keys, NOW);
    expect(ids(keys)).toEqual([15, 0, 1]);
    const times = keys.map(({ issueFrom }) => issueFrom);
    expect([...times].sort((a, b) => a - b)).toEqual(times);
    expect(new Set(times).size).toBe(3);
  });
});
