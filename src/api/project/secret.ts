/** Projects a Secret: its pair of certificate and key, its authorities and what they have revoked, and nothing else. No value, not even a part of one, ever goes into a message. */
import { createPrivateKey, X509Certificate, type KeyObject } from 'node:crypto';
import type { Certificate, KeyType } from '../../model/certificate.ts';
import type { Meta, Secret } from '../../model/resources.ts';
import { isRecord, type ObjectFields, type Report } from './fields.ts';

const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;
const TLS = 'kubernetes.io/tls';
/** Shorter ones are refused by OpenSSL, and by clients. */
const MIN_RSA_BITS = 2048;

/** undefined = the pair cannot be used; the one before stays in force. Bad authorities do not keep a good pair from being served. */
export function projectSecret(
  object: ObjectFields,
  { annotations: _, ...meta }: Meta,
  report: Report,
): Secret | undefined {
  const type = object.string('type') || 'Opaque';
  const paired = type === TLS || (holds(object, 'tls.crt') && holds(object, 'tls.key'));
  const certificate = paired ? readPair(object, report) : undefined;
  const authorities = holds(object, 'ca.crt') ? readAuthorities(object, report) : undefined;
  const revocations = holds(object, 'ca.crl') ? readRevocations(object, report) : [];
  if (paired && certificate === undefined) return undefined;
  const plain = { ...meta, annotations: {}, labels: {} };
  return { kind: 'Secret', meta: plain, type, certificate, authorities, revocations };
}

/** An empty value counts as none: cert-manager writes one where it does not know the authority. */
function holds({ raw }: ObjectFields, name: string): boolean {
  return [raw['stringData'], raw['data']].some(
    (data) => isRecord(data) && data[name] !== undefined && data[name] !== '',
  );
}

function readPair(object: ObjectFields, report: Report): Certificate | undefined {
  const chain = readValue(object, 'tls.crt', 'the certificate and those of its issuers in PEM', report);
  const key = readValue(object, 'tls.key', 'the private key of the certificate in PEM', report);
  if (chain === undefined || key === undefined) return undefined;
  const leaf = readChain(chain, report);
  const read = readKey(key, report);
  if (leaf === undefined || read === undefined) return undefined;
  if (!leaf.checkPrivateKey(read.privateKey)) {
    report.error(
      'data[tls.key]',
      'this is not the key of the first certificate in `tls.crt`; put the pair in that belongs together, the host’s own certificate first',
    );
    return undefined;
  }
  return { chain, key, keyType: read.keyType, expires: Date.parse(leaf.validTo) };
}

function readAuthorities(object: ObjectFields, report: Report): string | undefined {
  const pem = readValue(object, 'ca.crt', 'the certificates of the authorities in PEM', report);
  if (pem === undefined || firstOf(pem) !== undefined) return pem;
  report.error(
    'data[ca.crt]',
    'this holds no certificates in PEM, or one that cannot be read; put in those of the authorities to trust',
  );
  return undefined;
}

function readRevocations(object: ObjectFields, report: Report): readonly string[] | undefined {
  const pem = readValue(object, 'ca.crl', 'the revocation lists of the authorities in PEM', report);
  if (pem === undefined) return undefined;
  const lists = blocksOf(pem, 'X509 CRL');
  if (lists.length > 0 && lists.every(holdsSequence)) return lists;
  report.error(
    'data[ca.crl]',
    'this holds no revocation lists in PEM, or one that cannot be read; put in one of each authority, or nothing',
  );
  return undefined;
}

/** One whole sequence in DER (X.690), as far as can be seen from outside: nothing of Node's reads a list but what uses it. */
function holdsSequence(pem: string): boolean {
  const der = Buffer.from(pem.replaceAll(/-----[^-]+-----/g, ''), 'base64');
  const [tag, first = 0] = der;
  const long = first < 0x80 ? 0 : first - 0x80;
  if (tag !== 0x30 || first === 0x80 || long > 4 || der.length < 2 + long) return false;
  return der.length === 2 + long + (long === 0 ? first : der.readUIntBE(2, long));
}

/** As in the API, `stringData` wins over `data`. */
function readValue(object: ObjectFields, name: string, what: string, report: Report): string | undefined {
  const plain = object.object('stringData')?.string(name);
  if (plain !== undefined) return plain;
  const data = object.object('data');
  const encoded = data?.string(name)?.replaceAll(/[\r\n]/g, '');
  if (encoded === undefined || encoded === '') {
    if (data === undefined || !data.has(name) || encoded === '')
      report.error(`data[${name}]`, `this is missing; put ${what} there`);
    return undefined;
  }
  if (BASE64.test(encoded)) return Buffer.from(encoded, 'base64').toString('latin1');
  report.error(`data[${name}]`, 'this is not base64; encode the value, or put it under `stringData` as it is');
  return undefined;
}

function readChain(chain: string, report: Report): X509Certificate | undefined {
  const leaf = firstOf(chain);
  if (leaf !== undefined) return leaf;
  report.error(
    'data[tls.crt]',
    'this is no chain of certificates in PEM; put in the host’s certificate, then those of its issuers',
  );
  return undefined;
}

/** The first certificate. Every one has to be readable: they are used as a whole or not at all. */
function firstOf(pem: string): X509Certificate | undefined {
  try {
    return blocksOf(pem, 'CERTIFICATE').map((one) => new X509Certificate(one))[0];
  } catch {
    // Told by the caller: what OpenSSL says about it helps nobody.
    return undefined;
  }
}

/** Those of a label (RFC 7468); none where one has no end: at that OpenSSL stops, and would go without those behind it. */
function blocksOf(pem: string, label: string): readonly string[] {
  const begin = `-----BEGIN ${label}-----`;
  const blocks = pem.match(new RegExp(`${begin}[^-]+-----END ${label}-----`, 'g')) ?? [];
  return blocks.length === pem.split(begin).length - 1 ? blocks : [];
}

/** By Node's names; what else there is few clients know. */
const KEY_TYPES: ReadonlyMap<string | undefined, KeyType> = new Map([
  ['ec', 'ECDSA'],
  ['rsa', 'RSA'],
]);

function readKey(pem: string, report: Report): { privateKey: KeyObject; keyType: KeyType } | undefined {
  let privateKey: KeyObject;
  try {
    privateKey = createPrivateKey(pem);
  } catch {
    report.error('data[tls.key]', 'this is no private key in PEM without a passphrase; put one in');
    return undefined;
  }
  const bits = privateKey.asymmetricKeyDetails?.modulusLength ?? MIN_RSA_BITS;
  const keyType = KEY_TYPES.get(privateKey.asymmetricKeyType);
  if (keyType !== undefined && bits >= MIN_RSA_BITS) return { privateKey, keyType };
  report.error(
    'data[tls.key]',
    `keys of this kind are not used; make an ECDSA key (P-256), or an RSA key of ${MIN_RSA_BITS} bits or more`,
  );
  return undefined;
}
