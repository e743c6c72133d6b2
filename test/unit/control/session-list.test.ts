/** Listings of sessions: the latest first, no more than asked for, and of several replicas each session once. */
import { expect, test } from 'vitest';
import type { SessionInfo } from '../../../src/admin/types.ts';
import { idOf, listSessions, mergeListings, ownersOf, wordsOf } from '../../../src/control/session-list.ts';
import { OBSERVED } from '../../../src/model/live.ts';
import { Counted } from '../../../src/shared/counted.ts';
import { refOf } from '../../../src/shared/session-entries.ts';
import type { ListedSession } from '../../../src/shared/session-table.ts';
import { endpointSlotKey } from '../../../src/shared/slot-keys.ts';

const session = (low: number, changes: Partial<ListedSession> = {}): ListedSession => ({
  region: OBSERVED,
  high: 0,
  low,
  ref: 0,
  scope: 1,
  active: false,
  lastSeen: low,
  firstSeen: 0,
  ...changes,
});

function list(
  sessions: readonly ListedSession[],
  query: { pod?: string; id?: string; limit?: number },
  counted: Counted,
) {
  const each = (_: number, visit: (one: ListedSession) => void): void => sessions.forEach(visit);
  return listSessions({ each }, counted, ownersOf(undefined), { limit: 100, ...query }, 0);
}

test('ids are the words of the fingerprint, whatever their sign', () => {
  for (const words of [
    { high: 0, low: 1 },
    { high: -1, low: 2 ** 31 - 1 },
    { high: -(2 ** 31), low: -2 },
  ])
    expect(wordsOf(idOf(words))).toEqual(words);
  for (const text of ['', '0', '0123456789ABCDEF', '0123456789abcdef0']) expect(wordsOf(text)).toBeUndefined();
});

test('the latest used come first; no more than asked for are kept, however many there are', () => {
  const counted = new Counted(1);
  const all = Array.from({ length: 1000 }, (_, i) => session((i * 7919) % 1000));
  const { sessions, more } = list(all, { limit: 10 }, counted);
  expect(sessions.map(({ lastSeen }) => lastSeen)).toEqual([999, 998, 997, 996, 995, 994, 993, 992, 991, 990]);
  expect(more).toBe(true);
  expect(list(all.slice(0, 10), { limit: 10 }, counted).more).toBe(false);
  expect(list(all.slice(0, 11), { limit: 10 }, counted)).toMatchObject({ more: true, sessions: { length: 10 } });
});

test('a session tells its pod; one whose endpoint has gone, or has another holder, tells none', () => {
  const counted = new Counted(1);
  const slot = counted.endpoints.acquire(endpointSlotKey('shop', 'web', 80, 'web-0', 'addr:10.0.0.1:80'), 'one');
  const all = [
    session(1, { ref: refOf(slot, 0) }),
    session(2, { ref: refOf(slot, 1) }),
    session(3, { ref: refOf(slot + 5, 0) }),
  ];
  expect(list(all, {}, counted).sessions.map(({ pod }) => pod)).toEqual(['', '', 'web-0']);
  expect(list(all, { pod: 'shop/web-0' }, counted).sessions).toMatchObject([
    { id: '0000000000000001', namespace: 'shop', service: 'web', pod: 'web-0', kind: 'seen' },
  ]);
  expect(list(all, { pod: 'other/web-0' }, counted).sessions).toEqual([]);
  expect(list(all, { id: '0000000000000002' }, counted).sessions).toHaveLength(1);
});

test('of several replicas whoever saw a session last says where it is', () => {
  const info = (changes: Partial<SessionInfo>): SessionInfo => ({
    id: '0000000000000001',
    kind: 'seen',
    namespace: 'shop',
    policy: 'shop',
    service: 'web',
    pod: 'web-0',
    active: false,
    firstSeen: 5,
    lastSeen: 5,
    ...changes,
  });
  const here = { sessions: [info({ active: true }), info({ id: '0000000000000002', lastSeen: 9 })], more: false };
  const there = { sessions: [info({ pod: 'web-1', firstSeen: 6, lastSeen: 7 })], more: false };
  const merged = [here.sessions[1], info({ pod: 'web-1', active: true, lastSeen: 7 })];
  expect(mergeListings([here, there], 10)).toEqual({ sessions: merged, more: false });
  expect(mergeListings([there, here], 10)).toEqual({ sessions: merged, more: false });
  expect(mergeListings([here, there], 1)).toEqual({ sessions: merged.slice(0, 1), more: true });
  expect(mergeListings([here, { ...there, more: true }], 10).more).toBe(true);
});
