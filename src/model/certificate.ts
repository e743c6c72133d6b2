/** Certificates as Secrets hold them and as TLS connections are served by them. */
import type { ObjectKey } from './ids.ts';

/** A certificate chain and the private key of its first certificate. Never to be logged. */
export interface KeyPair {
  /** PEM: the host's certificate, then those of its issuers. */
  readonly chain: string;
  /** PEM. */
  readonly key: string;
}

export interface Certificate extends KeyPair {
  /** Wall clock, ms. */
  readonly expires: number;
}

/** A certificate in the table, under the Secret that it is from. */
export interface TableCertificate extends KeyPair {
  readonly secret: ObjectKey;
}

/** A host that is served over TLS by a certificate of its own. */
export interface TlsHost {
  /** Lower case: `a.example`, `*.a.example`, or empty for clients that ask for no host or for one that is not known. */
  readonly host: string;
  readonly secret: ObjectKey;
}
