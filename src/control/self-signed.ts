/** Makes self-signed certificates with what Node has: signing is in `node:crypto`, writing certificates is not. */
import { generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import type { KeyPair } from '../model/certificate.ts';
import { der, oid, pem, sequence, time } from './der.ts';

export interface SelfSignedOptions {
  /** DNS names and IPv4 addresses; the first one is its subject, too. */
  readonly names: readonly [string, ...string[]];
  readonly keyType?: 'ec' | 'rsa';
  /** From when to when it is valid: wall clock, ms. Default: yesterday, for ten years. */
  readonly from?: number;
  readonly until?: number;
}

const DAY_MS = 86_400_000;
/** RFC 5758: ecdsa-with-SHA256. RFC 4055: sha256WithRSAEncryption, which has a parameter, NULL. */
const ALGORITHMS = { ec: '2a8648ce3d040302', rsa: '2a864886f70d01010b' } as const;
const NULL = Buffer.from([0x05, 0x00]);

export function selfSigned({ names, keyType = 'ec', ...validity }: SelfSignedOptions): KeyPair {
  const { from = Date.now() - DAY_MS, until = from + 3650 * DAY_MS } = validity;
  const { publicKey, privateKey } =
    keyType === 'ec'
      ? generateKeyPairSync('ec', { namedCurve: 'P-256' })
      : generateKeyPairSync('rsa', { modulusLength: 2048 });
  const algorithm = sequence(oid(ALGORITHMS[keyType]), ...(keyType === 'rsa' ? [NULL] : []));
  const subject = sequence(der(0x31, sequence(oid('550403'), der(0x0c, Buffer.from(names[0]))))); // commonName
  const alternativeNames = sequence(oid('551d11'), der(0x04, sequence(...names.map(alternativeName))));
  // RFC 5280, section 4.1: version 3, issued by itself.
  const signed = sequence(
    der(0xa0, der(0x02, Buffer.from([2]))),
    // Browsers refuse two certificates of one issuer and number.
    der(0x02, Buffer.concat([Buffer.from([1]), randomBytes(8)])),
    algorithm,
    subject,
    sequence(time(from), time(until)),
    subject,
    publicKey.export({ type: 'spki', format: 'der' }),
    der(0xa3, sequence(alternativeNames)),
  );
  const signature = der(0x03, Buffer.from([0]), sign('sha256', signed, privateKey));
  return {
    chain: pem('CERTIFICATE', sequence(signed, algorithm, signature)),
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  };
}

function alternativeName(name: string): Buffer {
  const bytes = name.split('.').map(Number);
  const isAddress = bytes.length === 4 && bytes.every((byte) => byte >= 0 && byte < 256);
  return isAddress ? der(0x87, Buffer.from(bytes)) : der(0x82, Buffer.from(name, 'latin1'));
}
