/** Whether a request may pass by what its client has shown, and what the endpoint is told of it. */
import { expect, test } from 'vitest';
import { certificateFault, certificateLines } from '../../../src/lanes/client-certificate.ts';
import { NO_TLS } from '../../../src/model/facts.ts';
import type { TlsFacts } from '../../../src/model/facts.ts';
import type { ClientVerification } from '../../../src/model/certificate.ts';

const ASKED = 'ours';

function shown(verdict: string, authorities = ASKED): TlsFacts {
  return { ...NO_TLS, client: { authorities, verdict, subject: 'CN=a', issuer: 'CN=b' } };
}

const UNASKED: TlsFacts = { ...NO_TLS };

test.each<[string, TlsFacts, readonly [on: number, optional: number, anybody: number]]>([
  ['a good one', shown('SUCCESS'), [0, 0, 0]],
  ['none', shown('NONE'), [496, 0, 0]],
  ['one of unknown authorities', shown('FAILED:UNABLE_TO_VERIFY_LEAF_SIGNATURE'), [495, 495, 0]],
  ['one signed by itself', shown('FAILED:DEPTH_ZERO_SELF_SIGNED_CERT'), [495, 495, 0]],
  ['an expired one', shown('FAILED:CERT_HAS_EXPIRED'), [495, 495, 495]],
  ['what others have found good', shown('SUCCESS', 'others'), [421, 421, 421]],
  ['nothing, as it was not asked', UNASKED, [421, 421, 421]],
  ['nothing, without TLS', NO_TLS, [496, 0, 0]],
])('%s', (_, tls, faults) => {
  const modes = ['on', 'optional', 'optional_no_ca'] as const;
  expect(modes.map((mode) => certificateFault({ authorities: ASKED, mode }, tls, ASKED))).toEqual(faults);
});

test('where a new connection would not be asked either, the answer is that there is no certificate', () => {
  const wanted: ClientVerification = { authorities: ASKED, mode: 'on' };
  expect(certificateFault(wanted, UNASKED, undefined)).toBe(496);
  expect(certificateFault(wanted, shown('SUCCESS', 'others'), 'others')).toBe(496);
});

test('the endpoint is told of what was shown to the authorities of the route alone', () => {
  const lines = (tls: TlsFacts, authorities?: string): string =>
    certificateLines(authorities === undefined ? undefined : { authorities, mode: 'optional' }, tls);
  expect(lines(shown('SUCCESS'))).toBe('');
  expect(lines(shown('SUCCESS'), ASKED)).toBe(
    'ssl-client-verify: SUCCESS\r\nssl-client-subject-dn: CN=a\r\nssl-client-issuer-dn: CN=b\r\n',
  );
  expect(lines(shown('NONE'), ASKED)).toBe('ssl-client-verify: NONE\r\n');
  expect(lines(shown('SUCCESS'), 'others')).toBe('ssl-client-verify: NONE\r\n');
  expect(lines(NO_TLS, ASKED)).toBe('ssl-client-verify: NONE\r\n');
});
