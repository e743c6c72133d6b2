/** Tests of `accept`: cookies of other products, byte for byte, until ours is there. */
import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { LiveAffinity } from '../../../src/affinity/build.ts';
import { editCookies } from '../../../src/affinity/cookies.ts';
import { fnv64, xxh64 } from '../../../src/affinity/foreign/digests.ts';
import type { LivePool } from '../../../src/model/live.ts';
import type { CompiledPolicy } from '../../../src/model/policy.ts';
import type { AcceptedCookie, CookieRule, ForeignProduct } from '../../../src/model/sticky-policy.ts';
import { affinity, ask, env, facts, HOUR, key, NOW, pair, pool, sessionOn } from './fixtures.ts';
import { KeyRing } from '../../../src/affinity/keyring.ts';

const md5 = (text: string) => createHash('md5').update(text).digest('hex');
const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');
const PRODUCTS: readonly ForeignProduct[] = ['IngressNginx', 'Traefik', 'HAProxy', 'Tengine', 'F5'];

function live(
  accept: Omit<AcceptedCookie, 'name'>,
  cookie: CookieRule = {},
  changes: Partial<CompiledPolicy> = {},
): LiveAffinity {
  return affinity([{ name: 'old', cookie: { name: 'HF', accept: [{ name: 'OLD', ...accept }], ...cookie } }], changes);
}

/** `shop/web:80`, port name http; a is 10.0.0.1:8080, b 10.0.0.2:8080 and so on, d has an IPv6 address. */
function target(states: Readonly<Record<string, 'Draining' | 'NotReady'>> = {}): LivePool {
  const ids = ['a', 'b', 'c', 'd'];
  const endpoints = ids.map((id) => ({
    id,
    ...(states[id] === undefined ? {} : { state: states[id] }),
    ...(id === 'd' ? { address: '2001:112::30' } : {}),
  }));
  return { ...pool(endpoints), portName: 'http' };
}

const told = (one: LiveAffinity, value: string, where = target(), on = env()) =>
  ask(one, where, facts({ cookie: `x=1; OLD=${value}` }), on);

const BACKEND = 'shop-web-80';
const NAMED = 'shop-web-http';
const nginx = (backend: string, endpoint: string) => `${md5(backend + endpoint)}|${md5(md5(backend) + backend)}`;

/** The product's value for b, and for d. */
const VALUES: readonly (readonly [ForeignProduct, string, b: string, d: string])[] = [
  ['IngressNginx', 'by number', nginx(BACKEND, '10.0.0.2:8080'), nginx(BACKEND, '[2001:112::30]:8080')],
  ['IngressNginx', 'by name', nginx(NAMED, '10.0.0.2:8080'), nginx(NAMED, '[2001:112::30]:8080')],
  ['IngressNginx', 'alone', md5(`${BACKEND}10.0.0.2:8080`), md5(`${BACKEND}[2001:112::30]:8080`)],
  ['Traefik', 'sha256', sha256('http://10.0.0.2:8080').slice(0, 16), sha256('http://[2001:112::30]:8080').slice(0, 16)],
  ['Traefik', 'plain', 'http://10.0.0.2:8080', 'http://[2001:112::30]:8080'],
  ['Traefik', 'FNV', fnv64('http://10.0.0.2:8080'), fnv64('http://[2001:112::30]:8080')],
  ['Traefik', 'double FNV', fnv64(fnv64('http://10.0.0.2:8080')), fnv64(fnv64('http://[2001:112::30]:8080'))],
  ['HAProxy', 'dynamic', dynamic('Ingress', '0a000002'), dynamic('Ingress', '20010112000000000000000000000030')],
  [
    'HAProxy',
    'the other controller',
    dynamic('ohph7OoGhong', '0a000002'),
    dynamic('ohph7OoGhong', '20010112000000000000000000000030'),
  ],
  ['HAProxy', 'address', '10.0.0.2:8080', '[2001:112::30]:8080'],
  ['Tengine', 'md5', md5('10.0.0.2:8080'), md5('[2001:112::30]:8080')],
  ['Tengine', 'plain', '10.0.0.2:8080', '[2001:112::30]:8080'],
  ['F5', 'the default', '33554442.36895.0000', 'vi20010112000000000000000000000030.36895'],
  ['F5', 'a route domain', 'rd5o00000000000000000000ffff0a000002o8080', 'rd3o20010112000000000000000000000030o8080'],
];

function dynamic(secret: string, address: string): string {
  return xxh64(Buffer.concat([Buffer.from(secret), Buffer.from(address, 'hex'), Buffer.from('00001f90', 'hex')]));
}

describe('hashes are those that everybody has', () => {
  test.each([
    ['', 'ef46db3751d8e999'],
    ['a', 'd24ec4f1a98c6e5b'],
    ['abc', '44bc2cf5ad770999'],
    ['Nobody inspects the spammish repetition', 'fbcea83c8a378bf1'],
  ])('H20 XXH64 of %j', (text, hash) => {
    expect(xxh64(Buffer.from(text))).toBe(hash);
  });

  test.each([
    ['', 'cbf29ce484222325'],
    ['a', 'af63bd4c8601b7be'],
    ['foobar', '340d8765a4dda9c2'],
  ])('FNV-1 of %j', (text, hash) => {
    expect(fnv64(text)).toBe(hash);
  });

  test('FNV-1 has no leading zeros, as Go formats it', () => {
    const found = Array.from({ length: 2000 }, (_, i) => fnv64(`http://10.0.${i}.1:8080`));
    expect(found.filter((hash) => hash.startsWith('0'))).toEqual([]);
    expect(found.some((hash) => hash.length === 15)).toBe(true);
  });
});

describe('values that name an endpoint', () => {
  test.each(VALUES)('%s %s', (product, _, b, d) => {
    const one = live({ product });
    const first = told(one, b);
    expect(first).toMatchObject({ pod: 'b', verdict: 'kept accepted_foreign' });
    // Ours is issued for it and counts from then on, whatever the other says.
    const ours = pair(first.setCookie);
    expect(ours).toMatch(/^HF=[\w-]{56}$/);
    expect(told(one, d)).toMatchObject({ pod: 'd', verdict: 'kept accepted_foreign' });
    const cookie = `OLD=${d}; ${ours}`;
    const second = ask(one, target(), facts({ cookie }));
    expect(second).toMatchObject({ pod: 'b', verdict: 'kept -', setCookie: undefined });
    expect(second.d.sessionHigh).toBe(first.d.sessionHigh);
  });

  test.each(VALUES)('T1 %s %s means Ready endpoints only', (product, _, b) => {
    for (const state of ['Draining', 'NotReady'] as const) {
      const answer = told(live({ product }), b, target({ b: state }));
      expect(answer.verdict).toBe('new no_token');
      expect(answer.pod).not.toBe('b');
    }
    expect(told(live({ product }), b, pool([{ id: 'z', address: '10.0.0.9' }])).verdict).toBe('new no_token');
  });

  test.each([
    ['1677787402.36895.0000', '10.1.1.100', 8080],
    ['rd5o00000000000000000000ffffc0000201o80', '192.0.2.1', 80],
    ['vi20010112000000000000000000000030.20480', '2001:112::30', 80],
  ])('F14 %s', (value, address, port) => {
    const where = pool(['x', { id: 'y', address }]);
    const endpoints = where.endpoints.map((endpoint) => ({ ...endpoint, port }));
    expect(told(live({ product: 'F5' }), value, { ...where, endpoints })).toMatchObject({
      pod: 'y',
      verdict: 'kept accepted_foreign',
    });
  });

  test('T4 a value of another backend of ingress-nginx is not for this one', () => {
    const value = `${md5(`${BACKEND}10.0.0.2:8080`)}|${md5(`${md5('shop-canary-80')}shop-canary-80`)}`;
    expect(told(live({ product: 'IngressNginx' }), value).verdict).toBe('new no_token');
  });

  test('T67 the cookie may keep its name', () => {
    const one = live({ product: 'IngressNginx', ids: {} }, { name: 'OLD' });
    const answer = told(one, nginx(BACKEND, '10.0.0.2:8080'));
    expect(answer).toMatchObject({ pod: 'b', verdict: 'kept accepted_foreign' });
    expect(answer.d.tokenFault).toBe(-1);
    expect(answer.setCookie).toMatch(/^OLD=[\w-]{56};/);
  });
});

test('the random keys of IngressNginx in mode balanced name no endpoint: such clients are assigned once more', () => {
  const one = live({ product: 'IngressNginx' });
  expect(told(one, `1700000000.123.30.4711|${md5(md5(BACKEND) + BACKEND)}`).verdict).toBe('new no_token');
});

describe('ids', () => {
  test.each(PRODUCTS)('%s: the name as it is', (product) => {
    const one = live({ product, ids: { srv1: 'b', srv2: 'gone' } });
    expect(told(one, 'srv1')).toMatchObject({ pod: 'b', verdict: 'kept accepted_foreign' });
    expect(told(one, 'srv2').verdict).toBe('new no_token');
    expect(told(one, 'constructor').verdict).toBe('new no_token');
  });

  test('what the product makes of the name', () => {
    const traefik = live({ product: 'Traefik', ids: { 'https://192.0.2.7:8443': 'c' } });
    expect(told(traefik, sha256('https://192.0.2.7:8443').slice(0, 16)).pod).toBe('c');
    const tengine = live({ product: 'Tengine', ids: { '192.0.2.7:80': 'c' } });
    expect(told(tengine, md5('192.0.2.7:80')).pod).toBe('c');
    const ingress = live({ product: 'IngressNginx', ids: { '192.0.2.7:80': 'c' } });
    expect(told(ingress, nginx(NAMED, '192.0.2.7:80')).pod).toBe('c');
    const f5 = live({ product: 'F5', ids: { rd5o00000000000000000000ffffc0000201o80: 'c' } });
    expect(told(f5, 'rd5o00000000000000000000ffffc0000201o80').pod).toBe('c');
  });

  test('they mean their pod whatever its state, and lose it as others do', () => {
    const one = live({ product: 'HAProxy', ids: { srv1: 'b' } });
    expect(told(one, 'srv1', target({ b: 'Draining' }))).toMatchObject({ pod: 'b', verdict: 'kept accepted_foreign' });
    const where = pool(['a', { id: 'b', state: 'NotReady', since: NOW - HOUR }, 'c']);
    const moved = told(one, 'srv1', where);
    expect(moved.verdict).toBe('moved not_ready');
    expect(moved.setCookie).toBeDefined();
    // T27: parallel requests move to one endpoint, and begin one session.
    const again = told(one, 'srv1', where, env({ random: () => 7 }));
    expect(again.pod).toBe(moved.pod);
    expect(again.d.sessionLow).toBe(moved.d.sessionLow);
  });
});

describe('stamps', () => {
  const stamp64 = (ms: number) => {
    const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
    let quarters = Math.floor(ms / 4000);
    let text = '';
    for (let i = 0; i < 5; i++) {
      text = `${letters[quarters % 64] ?? ''}${text}`;
      quarters = Math.floor(quarters / 64);
    }
    return text;
  };
  const seconds = (ms: number) => String(Math.floor(ms / 1000));
  const MIN = 60_000;

  test.each([
    ['HAProxy', stamp64],
    ['Tengine', seconds],
  ] as const)('H18 T15 %s: timeouts hold for sessions that the other product began', (product, stamp) => {
    const ids = { ids: { srv1: 'b' } };
    const idle = live({ product, ...ids }, {}, { idleTimeout: 30 * MIN });
    expect(told(idle, `srv1|${stamp(NOW - 20 * MIN)}`).verdict).toBe('kept accepted_foreign');
    expect(told(idle, `srv1|${stamp(NOW - 40 * MIN)}|${stamp(NOW - 50 * MIN)}`).verdict).toBe('new idle_expired');
    expect(told(idle, 'srv1').verdict).toBe('kept accepted_foreign');
    // H18: a stamp that is no stamp, or of more than a day ahead, is as none.
    expect(told(idle, `srv1|${stamp(NOW + 48 * HOUR)}`).verdict).toBe('kept accepted_foreign');
    expect(told(idle, 'srv1|?|?').verdict).toBe('kept accepted_foreign');

    const whole = live({ product, ...ids }, {}, { absoluteTimeout: 24 * HOUR });
    const young = told(whole, `srv1|${stamp(NOW)}|${stamp(NOW - 23 * HOUR)}`);
    expect(young.verdict).toBe('kept accepted_foreign');
    const old = told(whole, `srv1|${stamp(NOW)}|${stamp(NOW - 25 * HOUR)}`);
    expect(old.verdict).toBe('new absolute_expired');
    // Our token goes on from the session's begin.
    const on = env({ now: NOW + 2 * HOUR });
    expect(ask(whole, target(), facts({ cookie: pair(young.setCookie) }), on).verdict).toBe('new absolute_expired');
  });

  test('a session of ours that has ended does not begin again where it began', () => {
    const one = live({ product: 'HAProxy', ids: { srv1: 'b' } }, {}, { idleTimeout: 30 * MIN });
    const cookie = `${sessionOn(one, 'c')}; OLD=srv1`;
    const on = env({ now: NOW + HOUR });
    expect(ask(one, target(), facts({ cookie }), on).verdict).toBe('new idle_expired');
  });
});

describe('when it counts', () => {
  test('until ends it, to the millisecond', () => {
    const one = live({ product: 'Tengine', until: '2030-01-01T00:00:01Z' });
    const on = (now: number) => env({ now });
    expect(told(one, '10.0.0.2:8080', target(), on(NOW + 999)).verdict).toBe('kept accepted_foreign');
    expect(told(one, '10.0.0.2:8080', target(), on(NOW + 1000)).verdict).toBe('new no_token');
  });

  test('T3 not at all without accept', () => {
    for (const [, , b] of VALUES) {
      expect(ask(affinity(), target(), facts({ cookie: `OLD=${b}; HF=${b}` })).verdict).toMatch(/^new /);
    }
  });

  test('T16 the first of several cookies that means something', () => {
    const one = affinity([
      {
        name: 'old',
        cookie: {
          accept: [
            { product: 'F5', name: 'F' },
            { product: 'Tengine', name: 'T' },
          ],
        },
      },
    ]);
    const cookie = 'F=junk; T="junk"; T= "10.0.0.3:8080" ; T=10.0.0.2:8080';
    expect(ask(one, target(), facts({ cookie }))).toMatchObject({ pod: 'c', verdict: 'kept accepted_foreign' });
  });

  test('T55 a preflight is led there and gets no token', () => {
    const one = live({ product: 'Tengine' });
    const answer = ask(one, target(), facts({ method: 'OPTIONS', cookie: 'OLD=10.0.0.2:8080' }));
    expect(answer).toMatchObject({ pod: 'b', setCookie: undefined });
  });

  test('a key ring that the pool does not know yet is no error', () => {
    const on = env({ keys: KeyRing.from([key(3)]) });
    expect(told(live({ product: 'Tengine' }), '10.0.0.2:8080', target(), on).pod).toBe('b');
  });
});

test('what backends see: the cookie as it is, without what HAProxy and Tengine would have taken off', () => {
  const cookie = 'a=1;  OLD=srv1~app~2 ; b=2';
  expect(editCookies(cookie, live({ product: 'HAProxy', ids: { srv1: 'b' } }))).toBe('a=1;  OLD=app~2 ; b=2');
  expect(editCookies(cookie, live({ product: 'HAProxy' }))).toBe(cookie);
  expect(editCookies(cookie, live({ product: 'F5', ids: { srv1: 'b' } }))).toBe(cookie);
  const hashed = `OLD=${md5('10.0.0.2:8080')}~x`;
  expect(editCookies(hashed, live({ product: 'Tengine' }))).toBe('OLD=x');
  expect(told(live({ product: 'Tengine' }), hashed.slice(4))).toMatchObject({
    pod: 'b',
    verdict: 'kept accepted_foreign',
  });
  const stamped = 'OLD=10.0.0.2:8080|1|1';
  expect(editCookies(stamped, live({ product: 'Tengine' }))).toBe(stamped);
});

test('T16 nothing that a client sends is an error, or leads to an endpoint that is not Ready', () => {
  const piece = fc.oneof(
    fc.string({ maxLength: 300 }),
    fc.constantFrom(...VALUES.flatMap(([, , b, d]) => [b, d])),
    fc.constantFrom('|', '~', '.', '"', 'rd', 'o', 'vi', '1.2.3', 'x'.repeat(8192), '|'.repeat(4000)),
  );
  const all = PRODUCTS.map((product) => live({ product, ids: { srv1: 'c' } }));
  const where = target({ b: 'Draining', d: 'NotReady' });
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 5 }), (pieces) => {
      const cookie = `OLD=${pieces.join('')}; z=1`;
      for (const one of all) {
        const answer = ask(one, where, facts({ cookie }));
        expect(['a', 'c']).toContain(answer.pod);
        expect(editCookies(cookie, one)).toContain('z=1');
      }
    }),
  );
});
