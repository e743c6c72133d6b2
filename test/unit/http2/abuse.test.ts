/** Counters against abuse: they begin anew with time, and what is usual does not reach them. */
import { describe, expect, test } from 'vitest';
import { Abuse } from '../../../src/http2/abuse.ts';
import { ABUSE_INTERVAL_MS, DEFAULT_LIMITS } from '../../../src/http2/limits.ts';
import { get, START } from '../../fixtures/http2/case.ts';
import { ping, reset, windowUpdate } from '../../support/http2-frames.ts';
import { recordServer } from './record.ts';

const KINDS = ['reset', 'ping', 'settings', 'emptyData', 'windowUpdate', 'idleFrame'] as const;
const LIMIT = {
  reset: DEFAULT_LIMITS.abuse.resets,
  ping: DEFAULT_LIMITS.abuse.pings,
  settings: DEFAULT_LIMITS.abuse.settings,
  emptyData: DEFAULT_LIMITS.abuse.emptyData,
  windowUpdate: DEFAULT_LIMITS.abuse.windowUpdates,
  idleFrame: DEFAULT_LIMITS.abuse.idleFrames,
} as const;

describe.each(KINDS)('%s', (kind) => {
  test('up to the limit in an interval, then an error; again in the next one', () => {
    let now = 5;
    const abuse = new Abuse(DEFAULT_LIMITS.abuse, () => now);
    for (let i = 0; i < LIMIT[kind]; i++) expect(abuse[kind]()).toBeUndefined();
    expect(abuse[kind]()?.code).toBe('ENHANCE_YOUR_CALM');
    now += ABUSE_INTERVAL_MS - 1;
    expect(abuse[kind]()?.level).toBe('connection');
    now += 1;
    expect(abuse[kind]()).toBeUndefined();
  });
});

test('WINDOW_UPDATEs that answer our DATA do not count, also when they come late', () => {
  let now = 0;
  const abuse = new Abuse(DEFAULT_LIMITS.abuse, () => now);
  for (let i = 0; i < 1_000; i++) abuse.sentData();
  now = ABUSE_INTERVAL_MS;
  for (let i = 0; i < 6_000; i++) expect(abuse.windowUpdate()).toBeUndefined();
  expect(abuse.windowUpdate()).toBeDefined();
});

test('a browser that gives up 150 requests every ten seconds goes on', () => {
  let now = 0;
  const server = recordServer({ clock: () => now });
  server.read(START);
  for (let id = 1; id < 20 * 300; id += 2) {
    if (id % 300 === 1) now += ABUSE_INTERVAL_MS;
    server.read(Buffer.concat([get(id), reset(id)]));
  }
  expect(server.connection.dead).toBe(false);
});

test('resets of what was answered do not count', () => {
  const server = recordServer({
    events: { onHead: (stream) => server.connection.respond(stream, 'HTTP/1.1 200 OK\r\n\r\n', true) },
  });
  server.read(START);
  for (let id = 1; id < 1_000; id += 2) server.read(Buffer.concat([get(id), reset(id)]));
  expect(server.connection.dead).toBe(false);
});

test('faults that make us reset count as resets (CVE-2025-8671)', () => {
  const server = recordServer();
  server.read(START);
  for (let id = 1; id <= 401; id += 2) server.read(Buffer.concat([get(id), windowUpdate(id, 0)]));
  expect(server.events.at(-1)).toBe('error reset_flood');
});

test('PING without end', () => {
  const server = recordServer();
  server.read(START);
  for (let i = 0; i < 500; i++) server.read(ping());
  expect(server.connection.dead).toBe(false);
  server.read(ping());
  expect(server.events).toEqual(['error ping_flood']);
});
