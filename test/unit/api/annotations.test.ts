/** Annotations of an Ingress: settings, the policy they make, and what is reported. */
import { describe, expect, test } from 'vitest';
import { type AnnotationsRead, policyFromAnnotations, readAnnotations } from '../../../src/api/annotations.ts';
import { validateSpec } from '../../../src/api/validate.ts';

const REF = { kind: 'Ingress', namespace: 'shop', name: 'shop' };
const OURS = 'holdfast.dev/';
const NGINX = 'nginx.ingress.kubernetes.io/';

/** Names without a prefix are ours. */
function read(annotations: Record<string, string>): AnnotationsRead {
  const full = Object.entries(annotations).map(([name, value]) => [name.includes('/') ? name : OURS + name, value]);
  const meta = { namespace: 'shop', name: 'shop', uid: '', generation: 0, creationTimestamp: undefined, labels: {} };
  return readAnnotations({ ...meta, annotations: Object.fromEntries(full) as Record<string, string> }, REF);
}

const field = (name: string): string => `metadata.annotations[${name.includes('/') ? name : OURS + name}]`;

test('none of ours is nothing', () => {
  const result = read({ 'kubernetes.io/ingress.class': 'holdfast', 'example.com/affinity': 'cookie' });
  expect(result).toMatchObject({ settings: {}, problems: [], closes: false });
  expect(result.backend).toEqual({ sendsName: false });
  expect(policyFromAnnotations(result.settings)).toBeUndefined();
});

describe('the policy they make', () => {
  test.each<[string, Record<string, string>, unknown]>([
    ['a cookie', { affinity: 'cookie' }, { rules: [{ name: 'cookie', cookie: { mode: 'Insert' } }] }],
    [
      'a cookie with everything',
      {
        affinity: 'Cookie',
        'cookie-name': 'HF',
        'cookie-path': '/shop',
        'cookie-domain': '.Shop.example',
        'cookie-samesite': 'none',
        'cookie-secure': 'true',
        'cookie-max-age': '172800',
        'idle-timeout': '30m',
        'absolute-timeout': '24h',
        'drain-timeout': '1h',
        'on-endpoint-lost': 'reject',
        balance: 'round-robin',
      },
      {
        rules: [
          {
            name: 'cookie',
            cookie: {
              mode: 'Insert',
              name: 'HF',
              path: '/shop',
              domains: ['shop.example'],
              sameSite: 'None',
              secure: 'Always',
              maxAge: '48h',
            },
          },
        ],
        session: { idleTimeout: '30m', absoluteTimeout: '24h' },
        drain: { maxDuration: '1h' },
        onEndpointLost: { action: 'Reject' },
        newSession: { algorithm: 'RoundRobin' },
      },
    ],
    [
      'a header',
      { affinity: 'header', 'header-name': 'X-Id' },
      { rules: [{ name: 'header', header: { name: 'X-Id', mode: 'Hash' } }] },
    ],
    ['an address', { affinity: 'source-ip' }, { rules: [{ name: 'source-ip', sourceIP: { mode: 'Hash' } }] }],
    ['no affinity', { affinity: 'none' }, { rules: [{ name: 'none', none: {} }] }],
    [
      'balancing alone',
      { balance: 'power-of-two' },
      { rules: [{ name: 'none', none: {} }], newSession: { algorithm: 'PowerOfTwo' } },
    ],
    [
      'a duration as max-age',
      { affinity: 'cookie', 'cookie-max-age': '1h30m' },
      { rules: [{ name: 'cookie', cookie: { mode: 'Insert', maxAge: '1h30m' } }] },
    ],
  ])('%s', (_title, annotations, spec) => {
    const { settings, problems } = read(annotations);
    expect(problems).toEqual([]);
    const policy = policyFromAnnotations(settings);
    expect(policy).toEqual(spec);
    expect(validateSpec(policy).findings).toBeUndefined();
  });

  test('sticky-policy names a policy and leaves no room for others', () => {
    const { settings, problems } = read({ 'sticky-policy': 'shop', affinity: 'cookie', balance: 'random' });
    expect(settings).toEqual({ stickyPolicy: 'shop' });
    expect(problems.map((problem) => problem.field).toSorted()).toEqual([field('affinity'), field('balance')]);
    expect(policyFromAnnotations(settings)).toBeUndefined();
  });
});

describe('a malformed value is reported and its default holds', () => {
  test.each<[name: string, value: string, says: RegExp]>([
    ['affinity', 'cookies', /cookie or header or source-ip or none/],
    ['sticky-policy', 'Shop Policy', /object name/],
    ['cookie-name', 'a b', /cookie name/],
    ['cookie-name', '__Host-a', /holdfast\.dev\/cookie-secure: always/],
    ['cookie-name', '', /empty/],
    ['cookie-path', '/; Domain=evil', /plain path/],
    ['cookie-domain', 'com', /two labels/],
    ['cookie-samesite', 'loose', /lax or strict or none or unset/],
    ['cookie-samesite', 'None', /holdfast\.dev\/cookie-secure: always/],
    ['cookie-secure', 'sometimes', /always/],
    ['cookie-max-age', 'long', /`48h` or `172800`/],
    ['cookie-max-age', '0', /at least `1s`/],
    ['idle-timeout', '1800', /`1800s`/],
    ['absolute-timeout', '1d', /`1h30m`/],
    ['drain-timeout', 'x', /duration/],
    ['on-endpoint-lost', 'wait', /reassign or reject/],
    ['balance', 'least-conn', /least-requests/],
    ['hsts', 'true', /write max-age=31536000/],
    ['send-proxy-protocol', 'true', /write v1 or v2/],
    ['hsts', 'max-age=1\r\nSet-Cookie: x=y', /write max-age=31536000/],
  ])('%s: %j', (name, value, says) => {
    const { settings, problems, closes } = read({ affinity: 'cookie', [name]: value });
    expect(problems).toMatchObject([{ severity: 'error', object: REF, field: field(name) }]);
    expect(problems[0]?.message).toMatch(says);
    expect(settings).toEqual(name === 'affinity' ? {} : { affinity: 'cookie' });
    expect(closes).toBe(false);
  });

  test('T25 no line break of a value reaches a policy', () => {
    const { settings, problems } = read({ affinity: 'cookie', 'cookie-path': '/a\r\nSet-Cookie: x=y' });
    expect(settings).toEqual({ affinity: 'cookie' });
    expect(problems).toHaveLength(1);
  });

  test('a header name that is none leaves no affinity', () => {
    const { settings, problems } = read({ affinity: 'header', 'header-name': 'a:b' });
    expect(settings).toEqual({});
    expect(problems).toMatchObject([{ field: field('header-name') }]);
  });

  test('an idle timeout longer than the absolute one goes, in the words of annotations', () => {
    const { settings, problems } = read({ affinity: 'cookie', 'idle-timeout': '2h', 'absolute-timeout': '1h' });
    expect(settings).toEqual({ affinity: 'cookie', absoluteTimeout: '1h' });
    expect(problems[0]?.message).toMatch(/holdfast\.dev\/idle-timeout.*holdfast\.dev\/absolute-timeout/);
  });

  test('several malformed values are each reported', () => {
    const { settings, problems } = read({
      affinity: 'cookie',
      'cookie-path': 'x',
      'cookie-domain': 'com',
      'cookie-name': '=',
    });
    expect(settings).toEqual({ affinity: 'cookie' });
    expect(problems).toHaveLength(3);
  });
});

describe('what would have no effect is reported', () => {
  test.each<[string, Record<string, string>, string]>([
    ['a cookie name without affinity', { 'cookie-name': 'a' }, 'cookie-name'],
    ['a cookie name beside a header', { affinity: 'source-ip', 'cookie-name': 'a' }, 'cookie-name'],
    ['a header name beside a cookie', { affinity: 'cookie', 'header-name': 'a' }, 'header-name'],
    ['a header affinity without a name', { affinity: 'header' }, 'affinity'],
    ['a drain timeout without stickiness', { affinity: 'none', 'drain-timeout': '1h' }, 'drain-timeout'],
  ])('%s', (_title, annotations, name) => {
    const { problems } = read(annotations);
    expect(problems).toMatchObject([{ field: field(name) }]);
    expect(problems[0]?.message).toMatch(/write `holdfast\.dev\//);
  });
});

describe('names', () => {
  test.each([
    ['afinity', 'affinity'],
    ['cookie-samsite', 'cookie-samesite'],
    ['session-idle-timeout', 'idle-timeout'],
    ['Cookie-Name', 'cookie-name'],
    ['ballance', 'balance'],
    ['ssl-redirct', 'ssl-redirect'],
  ])('%s: did you mean %s', (name, wanted) => {
    const { problems, settings } = read({ [name]: 'x' });
    expect(problems).toMatchObject([{ severity: 'error', field: field(name) }]);
    expect(problems[0]?.message).toContain(`did you mean \`holdfast.dev/${wanted}\``);
    expect(settings).toEqual({});
  });

  test('a name like nothing gets the whole list', () => {
    expect(read({ 'qqqqqqqqqqqqqqqq/': 'x', zzzzzzzzzzzzzzzzzzzz: 'x' }).problems[0]?.message).toContain(
      '`holdfast.dev/affinity`',
    );
  });

  test('every annotation of ingress-nginx without restriction is a warning', () => {
    const { problems, closes } = read({ [`${NGINX}affinity`]: 'cookie', [`${NGINX}enable-modsecurity`]: 'false' });
    expect(problems.map(({ severity }) => severity)).toEqual(['warning', 'warning']);
    expect(closes).toBe(false);
  });
});

test.each([
  'auth-url',
  'whitelist-source-range',
  `${NGINX}auth-url`,
  `${NGINX}auth-tls-secret`,
  `${NGINX}auth-type`,
  `${NGINX}whitelist-source-range`,
  `${NGINX}denylist-source-range`,
  `${NGINX}limit-rps`,
  `${NGINX}satisfy`,
  `${NGINX}enable-modsecurity`,
])('%s restricts access, so the Ingress is closed', (name) => {
  const { problems, closes, settings } = read({ [name]: 'true', affinity: 'cookie' });
  expect(closes).toBe(true);
  expect(problems).toMatchObject([{ severity: 'error', field: field(name) }]);
  expect(problems[0]?.message).toContain('503');
  expect(problems[0]?.message).toContain('--allow-unsupported-annotations');
  expect(settings).toEqual({ affinity: 'cookie' });
});
