/** What was said of sessions by hand: kept for its time, told to the workers, in no more memory than there is for it. */
import { beforeEach, expect, test } from 'vitest';
import { readListing, readOrders } from '../../../src/control/session-messages.ts';
import { MAX_OVERRIDES, SessionOrders } from '../../../src/control/session-orders.ts';
import type { SessionOrder } from '../../../src/control/session-orders.ts';
import { AUTHORITATIVE, OBSERVED } from '../../../src/model/live.ts';

const NOW = Date.UTC(2026, 0, 1);
const ORDER: SessionOrder = { high: 1, low: -2, region: OBSERVED, from: NOW, until: NOW + 1000, policy: 'shop|shop' };

let now: number;
let told: unknown[];
let orders: SessionOrders;

beforeEach(() => {
  now = NOW;
  told = [];
  orders = new SessionOrders({
    table: {
      end: (region, high, low) => void told.push(['end', region, high, low]),
      move: (high, low, ref) => told.push(['move', high, low, ref]) > 0 && high === 1,
    },
    clock: () => now,
    publish: (added, removed) => told.push([added, removed]),
    refOf: (pool, prefix) => (pool === 'shop/web:80' && prefix === 'there' ? 7 : undefined),
    onMoved: ({ policy }) => told.push(policy),
  });
});

test('workers are told once; of two for one session the later counts', () => {
  expect(orders.obey([ORDER, ORDER])).toBe(true);
  const later = { ...ORDER, from: NOW + 1, to: 'there', pool: 'shop/web:80' };
  orders.obey([later]);
  orders.obey([ORDER]);
  expect(told).toEqual([
    ['end', OBSERVED, 1, -2],
    [[ORDER], []],
    [[later], []],
  ]);
  expect(orders.kept).toEqual([later]);
});

test('they are forgotten when their time is up, and not taken over then', () => {
  orders.obey([ORDER, { ...ORDER, low: 5, until: NOW + 2000 }]);
  now += 1000;
  orders.sweep();
  expect(told.at(-1)).toEqual([[], [ORDER]]);
  orders.obey([ORDER]);
  orders.sweep();
  expect(orders.kept.map(({ low }) => low)).toEqual([5]);
  expect(told).toHaveLength(4);
});

test('there is room for so many: those in force stay, and one of them can still be changed', () => {
  const all = Array.from({ length: MAX_OVERRIDES }, (_, low) => ({ ...ORDER, low }));
  expect(orders.obey(all)).toBe(true);
  expect(orders.obey([{ ...ORDER, low: -1 }])).toBe(false);
  expect(orders.obey([{ ...ORDER, low: 0, from: NOW + 1 }])).toBe(true);
  expect(orders.kept).toHaveLength(MAX_OVERRIDES);
});

test('keys of the table are changed there, and not kept', () => {
  const key: SessionOrder = { ...ORDER, region: AUTHORITATIVE };
  orders.obey([key]);
  orders.obey([{ ...key, to: 'there', pool: 'shop/web:80' }]);
  orders.obey([{ ...key, high: 9, to: 'there', pool: 'shop/web:80' }]);
  orders.obey([{ ...key, to: 'nowhere', pool: 'shop/web:80' }]);
  expect(told).toEqual([['end', AUTHORITATIVE, 1, -2], ['move', 1, -2, 7], 'shop|shop', ['move', 9, -2, 7]]);
  expect(orders.kept).toEqual([]);
});

test('what replicas write is read back', () => {
  const moved = { ...ORDER, to: 'there', pool: 'shop/web:80' };
  expect(readOrders(JSON.parse(JSON.stringify([ORDER, moved])))).toEqual([ORDER, moved]);
  const info = {
    id: '0123456789abcdef',
    kind: 'key',
    namespace: 'a',
    policy: 'b',
    service: 'c',
    pod: '',
    active: true,
  };
  const times = { firstSeen: '2026-01-01T00:00:00.000Z', lastSeen: '2026-01-01T00:00:01.000Z' };
  expect(readListing({ sessions: [{ ...info, ...times }], more: true })).toEqual({
    sessions: [{ ...info, firstSeen: NOW, lastSeen: NOW + 1000 }],
    more: true,
  });
});

test.each([
  undefined,
  null,
  'x',
  {},
  [5],
  [{ ...ORDER, high: 2 ** 32 }],
  [{ ...ORDER, low: 0.5 }],
  [{ ...ORDER, from: '1' }],
  [{ ...ORDER, region: 2 }],
  [{ ...ORDER, to: 'there' }],
  [{ ...ORDER, to: 5, pool: 'a' }],
  [{ ...ORDER, policy: undefined }],
  { sessions: [{}], more: true },
  { sessions: [], more: 1 },
  { sessions: {}, more: true },
])('%j is neither', (raw) => {
  expect(readOrders(raw)).toBeUndefined();
  expect(readListing(raw)).toBeUndefined();
});
