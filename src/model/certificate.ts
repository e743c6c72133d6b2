/** Certificates as Secrets hold them and as TLS connections are served by them. */
import type { ObjectKey } from './ids.ts';

/** A certificate chain and the private key of its first certificate. Never to be logged. */
export interface KeyPair {
  /** PEM: the host's certificate, then those of its issuers. */
  readonly chain: string;
  /** PEM. */
  readonly key: string;
}

/** Clients may know to verify one kind and not the other. */
export type KeyType = 'ECDSA' | 'RSA';

export interface Certificate extends KeyPair {
  readonly keyType: KeyType;
  /** Wall clock, ms. */
  readonly expires: number;
}

/** A certificate in the table, under the Secret that it is from. */
export interface TableCertificate extends KeyPair {
  readonly secret: ObjectKey;
}

/** A host that is served over TLS by certificates of its own. */
export interface TlsHost {
  /** Lower case: `a.example`, `*.a.example`, or empty for clients that ask for no host or for one that is not known. */
  readonly host: string;
  /** One for each type of key. */
  readonly secrets: readonly ObjectKey[];
}
