/** Certificates that expire while nothing else changes, and ones that are renewed. */
import { expect, test } from 'vitest';
import { CertificateExpiry } from '../../../src/control/certificate-expiry.ts';
import type { Secret } from '../../../src/model/resources.ts';

const NOW = Date.UTC(2026, 0, 1);
const HOUR = 3600_000;

function secretThatExpires(expires: number): Secret {
  const meta = { namespace: 'ns', name: 'tls', uid: 'u', generation: 1, creationTimestamp: undefined };
  const certificate = { chain: '', key: '', keyType: 'ECDSA' as const, expires };
  const authorities = undefined;
  return {
    kind: 'Secret',
    meta: { ...meta, annotations: {}, labels: {} },
    type: 'kubernetes.io/tls',
    certificate,
    authorities,
    revocations: [],
  };
}

test('a certificate is a Problem from when it expires until another one stands there', () => {
  const expiry = new CertificateExpiry();
  const certificates = new Map([['ns/tls', { chain: '', key: '', secret: 'ns/tls' }]]);
  const secrets = new Map([['ns/tls', secretThatExpires(NOW + HOUR)]]);
  const problemsAt = (now: number, of = secrets): readonly string[] =>
    expiry.problems(certificates, of, now).map(({ message }) => message);
  expect(problemsAt(NOW)).toEqual([]);
  expect(problemsAt(NOW + HOUR - 1)).toEqual([]);
  expect(problemsAt(NOW + HOUR)).toEqual([
    'The certificate has been expired since 2026-01-01T01:00:00.000Z; renew it.',
  ]);
  expect(problemsAt(NOW + 2 * HOUR)).toHaveLength(1);
  const renewed = new Map([['ns/tls', secretThatExpires(NOW + 9 * HOUR)]]);
  expect(problemsAt(NOW + 2 * HOUR, renewed)).toEqual([]);
  expect(problemsAt(NOW + 9 * HOUR, renewed)).toHaveLength(1);
});
