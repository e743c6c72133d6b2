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

/** Those whose certificates clients of a host are asked for. */
export interface ClientAuthorities {
  /** A digest of all the rest: what a client has shown to be verified by others does not count. */
  readonly id: string;
  /** PEM. */
  readonly certificates: string;
  /** Lists in PEM. With one, there has to be one of every authority. */
  readonly revocations: readonly string[];
}

/** What a route asks of the client's certificate. */
export interface ClientVerification {
  /** Id of the ClientAuthorities. */
  readonly authorities: string;
  /**
   * `on`: there has to be one, and it has to be good. `optional`: if there is one it has to be good. `optional_no_ca`: as
   * that, but anybody may have signed it.
   */
  readonly mode: 'on' | 'optional' | 'optional_no_ca';
}
