/** An authority that issues certificates to clients, made with what Node has. */
import { generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import { certificatePem, der, oid, sequence, time } from '../../src/control/der.ts';
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
}

export function authority(name: string): Authority {
  const own: Name = [['CN', name]];
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
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
    const signature = der(0x03, Buffer.from([0]), sign('sha256', signed, privateKey));
    return certificatePem(sequence(signed, ALGORITHM, signature));
  };
  return {
    certificate: write(own, publicKey, [IS_AUTHORITY]),
    issue: (subject, until) => {
      const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' });
      const key = pair.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
      return { chain: write(subject, pair.publicKey, [], until), key };
    },
  };
}

function nameOf(name: Name): Buffer {
  return sequence(
    ...name.map(([type, value]) => der(0x31, sequence(oid(ATTRIBUTES[type]), der(0x0c, Buffer.from(value))))),
  );
}
