/** The certificates of a worker: which one a client is served by, as OpenSSL takes it. */
import { createSecureContext, type SecureContext, type SecureContextOptions } from 'node:tls';
import type { KeyPair } from '../model/certificate.ts';
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
  /** OpenSSL refuses a pair that has passed all checks. */
  readonly onRefused: (message: string) => void;
}

export class Certificates {
  readonly #options: CertificatesOptions;
  #ticketKeys: Buffer;
  readonly #pairs = new Map<ObjectKey, KeyPair>();
  /** The Secret of each host's certificate. */
  readonly #hosts = new Map<string, ObjectKey>();
  /** Made when a client first asks; under no Secret the self-signed one. */
  readonly #contexts = new Map<ObjectKey | undefined, SecureContext>();

  constructor(options: CertificatesOptions) {
    this.#options = options;
    this.#ticketKeys = Buffer.from(options.ticketKeys);
  }

  /** For new connections; those that are open keep what they have. True = the default certificate may be another one now. */
  apply({ certificates, removedCertificates, tlsHosts, removedTlsHosts }: TableDelta): boolean {
    const changes = [certificates, removedCertificates, tlsHosts, removedTlsHosts];
    if (changes.every(({ length }) => length === 0)) return false;
    for (const { secret, chain, key } of certificates) this.#pairs.set(secret, { chain, key });
    for (const secret of removedCertificates) this.#pairs.delete(secret);
    for (const { host, secret } of tlsHosts) this.#hosts.set(host, secret);
    for (const host of removedTlsHosts) this.#hosts.delete(host);
    for (const { secret } of certificates) this.#contexts.delete(secret);
    for (const secret of removedCertificates) this.#contexts.delete(secret);
    return true;
  }

  /** Sessions of before are not resumed any more: their clients go through a whole handshake. */
  setTicketKeys(keys: Uint8Array): void {
    this.#ticketKeys = Buffer.from(keys);
    this.#contexts.clear();
  }

  /** Exact host, wildcard, default; `name` as a client sends it. */
  contextFor(name: string): SecureContext {
    return this.#contextOf(this.#secretOf(name));
  }

  /** A client that has been shown one of them as `name` may ask for `other` on the same connection. */
  same(name: string, other: string): boolean {
    return this.#secretOf(name) === this.#secretOf(other);
  }

  /** Everything that a server needs for clients that name no host. */
  defaultOptions(): SecureContextOptions {
    const secret = this.#hosts.get('');
    return this.#optionsOf(secret === undefined ? undefined : this.#takenPair(secret));
  }

  /** undefined = none of its own, nor is there one for the rest. */
  #secretOf(name: string): ObjectKey | undefined {
    const host = name.toLowerCase().replace(/\.$/, '');
    const own = this.#hosts.get(host) ?? this.#hosts.get(`*${host.slice(host.indexOf('.'))}`);
    return own ?? this.#hosts.get('');
  }

  #contextOf(secret: ObjectKey | undefined): SecureContext {
    let context = this.#contexts.get(secret);
    if (context === undefined) {
      context = createSecureContext(this.#optionsOf(secret === undefined ? undefined : this.#takenPair(secret)));
      this.#contexts.set(secret, context);
    }
    return context;
  }

  /** undefined = OpenSSL does not take it. */
  #takenPair(secret: ObjectKey): KeyPair | undefined {
    const pair = this.#pairs.get(secret);
    try {
      createSecureContext(this.#optionsOf(pair));
      return pair;
    } catch (error) {
      this.#options.onRefused(`OpenSSL refuses the certificate of Secret ${secret}: ${(error as Error).message}`);
      return undefined;
    }
  }

  #optionsOf({ chain, key }: KeyPair = this.#options.selfSigned): SecureContextOptions {
    return {
      cert: chain,
      key,
      minVersion: 'TLSv1.2',
      ciphers: CIPHERS,
      honorCipherOrder: true,
      ticketKeys: this.#ticketKeys,
      sessionTimeout: SESSION_SECONDS,
      // A session of one worker is resumed at another, whatever certificate it began with.
      sessionIdContext: 'holdfast',
    };
  }
}
