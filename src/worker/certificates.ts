/** The certificates of a worker, as OpenSSL takes them: which ones a client is served by, and whose it is asked for. */
import { createSecureContext, type SecureContextOptions, type TlsOptions } from 'node:tls';
import type { ClientAuthorities, KeyPair } from '../model/certificate.ts';
import type { ObjectKey } from '../model/ids.ts';
import type { TableDelta } from '../shared/messages.ts';

/** What Mozilla calls intermediate; the suites of TLS 1.3 are OpenSSL's own. */
const CIPHERS = [
  'TLS_AES_128_GCM_SHA256',
  'TLS_AES_256_GCM_SHA384',
  'TLS_CHACHA20_POLY1305_SHA256',
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-CHACHA20-POLY1305',
  'ECDHE-RSA-CHACHA20-POLY1305',
].join(':');
/** A session can be resumed for so long: s. */
const SESSION_SECONDS = 3600;

export interface CertificatesOptions {
  /** For clients whose host has no certificate, while there is no other default. */
  readonly selfSigned: KeyPair;
  /** What session tickets are sealed with: 48 bytes, the same in all workers. */
  readonly ticketKeys: Uint8Array;
  /** OpenSSL refuses what has passed all checks. */
  readonly onRefused: (message: string) => void;
}

export class Certificates {
  readonly #options: CertificatesOptions;
  #ticketKeys: Buffer;
  readonly #pairs = new Map<ObjectKey, KeyPair>();
  /** The Secrets of each host's certificates, one for each type of key. */
  readonly #hosts = new Map<string, readonly ObjectKey[]>();
  /** By id. */
  readonly #authorities = new Map<string, ClientAuthorities>();

  constructor(options: CertificatesOptions) {
    this.#options = options;
    this.#ticketKeys = Buffer.from(options.ticketKeys);
  }

  apply(delta: TableDelta): void {
    const { certificates, removedCertificates, tlsHosts, removedTlsHosts } = delta;
    for (const { secret, chain, key } of certificates) this.#pairs.set(secret, { chain, key });
    for (const secret of removedCertificates) this.#pairs.delete(secret);
    for (const { host, secrets } of tlsHosts) this.#hosts.set(host, secrets);
    for (const host of removedTlsHosts) this.#hosts.delete(host);
    // Node takes any text: authorities that it cannot read have signed nothing.
    for (const one of delta.clientAuthorities) this.#authorities.set(one.id, one);
    for (const id of delta.removedClientAuthorities) this.#authorities.delete(id);
  }

  setTicketKeys(keys: Uint8Array): void {
    this.#ticketKeys = Buffer.from(keys);
  }

  /** Exact host, wildcard, default. Empty = the self-signed certificate. */
  secretsFor(host: string): readonly ObjectKey[] {
    const own = this.#hosts.get(host) ?? this.#hosts.get(`*${host.slice(host.indexOf('.'))}`);
    return own ?? this.#hosts.get('') ?? [];
  }

  /** A client that has been shown those of `name` may ask for `other` on the same connection. */
  same(name: string, other: string): boolean {
    const [own, others] = [this.secretsFor(name), this.secretsFor(other)];
    return own.length === others.length && own.every((secret) => others.includes(secret));
  }

  /** undefined = there are none: then clients are not asked. */
  authoritiesWith(id: string | undefined): ClientAuthorities | undefined {
    return this.#authorities.get(id ?? '');
  }

  /** Everything that a server needs for clients that these are for. */
  optionsFor(secrets: readonly ObjectKey[], authorities: ClientAuthorities | undefined): TlsOptions {
    const taken = secrets.map((secret) => this.#takenPair(secret)).filter((pair) => pair !== undefined);
    const options = this.#optionsOf(taken.length === 0 ? [this.#options.selfSigned] : taken);
    return authorities === undefined ? options : { ...options, ...this.#asking(authorities) };
  }

  /** undefined = OpenSSL does not take it. */
  #takenPair(secret: ObjectKey): KeyPair | undefined {
    const pair = this.#pairs.get(secret);
    if (pair === undefined) return undefined;
    return this.#isTaken(`the certificate of Secret ${secret}`, this.#optionsOf([pair])) ? pair : undefined;
  }

  /** By OpenSSL. @param what for the message where it is not */
  #isTaken(what: string, options: SecureContextOptions): boolean {
    try {
      createSecureContext(options);
      return true;
    } catch (error) {
      this.#options.onRefused(`OpenSSL refuses ${what}: ${(error as Error).message}`);
      return false;
    }
  }

  #optionsOf(pairs: readonly KeyPair[]): SecureContextOptions {
    return {
      cert: pairs.map(({ chain }) => chain),
      key: pairs.map(({ key }) => key),
      minVersion: 'TLSv1.2',
      ciphers: CIPHERS,
      honorCipherOrder: true,
      ticketKeys: this.#ticketKeys,
      sessionTimeout: SESSION_SECONDS,
      // A session of one worker is resumed at another, whatever certificate it began with.
      sessionIdContext: 'holdfast',
    };
  }

  /** Every handshake succeeds: what comes of it is a matter of the request, where the client can be told. */
  #asking(authorities: ClientAuthorities): TlsOptions {
    return {
      ...this.#trusting(authorities),
      requestCert: true,
      rejectUnauthorized: false,
      // A session holds what its client has shown, and to whom: it is resumed for these authorities alone.
      sessionIdContext: authorities.id,
    };
  }

  /** Of authorities whose lists OpenSSL does not take nobody is good. */
  #trusting({ certificates, revocations }: ClientAuthorities): SecureContextOptions {
    if (revocations.length === 0) return { ca: certificates };
    const crl = [...revocations];
    const taken = this.#isTaken('revocation lists of clients’ authorities', { ca: [], crl });
    return taken ? { ca: certificates, crl } : { ca: [] };
  }
}
