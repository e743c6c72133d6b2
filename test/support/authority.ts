/** An authority that issues certificates to clients, made with what Node has. */
import { generateKeyPairSync, randomBytes, sign, X509Certificate } from 'node:crypto';
import { der, oid, pem, sequence, time } from '../../src/control/der.ts';
import type { KeyPair } from '../../src/model/certificate.ts';

const DAY_MS = 86_400_000;
/** RFC 5758: ecdsa-with-SHA256. */
const ALGORITHM = sequence(oid('2a8648ce3d040302'));
/** By their names in RFC 4514. */
const ATTRIBUTES = { CN: '550403', O: '55040a', C: '550406' } as const;
/** RFC 5280, 4.2.1.9: critical, and it is an authority. */
const IS_AUTHORITY = sequence(
  oid('551d13'),
  der(0x01, Buffer.from([255])),
  der(0x04, sequence(der(0x01, Buffer.from([255])))),
);

/** Its parts in order, such as `[['O', 'Acme'], ['CN', 'alice']]`. */
export type Name = readonly (readonly [keyof typeof ATTRIBUTES, string])[];

export interface Authority {
  /** PEM. */
  readonly certificate: string;
  /** Valid from yesterday; `until`: wall clock, ms, default in ten years. */
  readonly issue: (name: Name, until?: number) => KeyPair;
  /** A list in PEM of what it has revoked, from yesterday; `until`: wall clock, ms, default in ten years. */
  readonly revoke: (pairs: readonly KeyPair[], until?: number) => string;
}

export function authority(name: string): Authority {
  const own: Name = [['CN', name]];
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const signedPem = (label: string, content: Buffer): string => {
    const signature = der(0x03, Buffer.from([0]), sign('sha256', content, privateKey));
    return pem(label, sequence(content, ALGORITHM, signature));
  };
  const write = (
    subject: Name,
    key: typeof publicKey,
    extensions: readonly Buffer[],
    until = Date.now() + 3650 * DAY_MS,
  ): string => {
    const signed = sequence(
      der(0xa0, der(0x02, Buffer.from([2]))),
      der(0x02, Buffer.concat([Buffer.from([1]), randomBytes(8)])),
      ALGORITHM,
      nameOf(own),
      sequence(time(Math.min(Date.now(), until) - DAY_MS), time(until)),
      nameOf(subject),
      key.export({ type: 'spki', format: 'der' }),
      ...(extensions.length === 0 ? [] : [der(0xa3, sequence(...extensions))]),
    );
    return signedPem('CERTIFICATE', signed);
  };
  return {
    certificate: write(own, publicKey, [IS_AUTHORITY]),
    issue: (subject, until) => {
      const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' });
      const key = pair.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
      return { chain: write(subject, pair.publicKey, [], until), key };
    },
    revoke: (pairs, until = Date.now() + 3650 * DAY_MS) => {
      const from = time(Math.min(Date.now(), until) - DAY_MS);
      const revoked = pairs.map(({ chain }) => {
        const serial = Buffer.from(new X509Certificate(chain).serialNumber, 'hex');
        return sequence(der(0x02, serial), from);
      });
      const listed = revoked.length === 0 ? [] : [sequence(...revoked)];
      return signedPem('X509 CRL', sequence(ALGORITHM, nameOf(own), from, time(until), ...listed));
    },
  };
}

function nameOf(name: Name): Buffer {
  return sequence(
    ...name.map(([type, value]) => der(0x31, sequence(oid(ATTRIBUTES[type]), der(0x0c, Buffer.from(value))))),
  );
}
