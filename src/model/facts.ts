/** What a decision may know about a request, whatever lane it came by. Implemented by each lane's request head. */
export interface RequestFacts {
  /** As sent: methods are case-sensitive. */
  readonly method: string;
  /** Lower case, without port and trailing dot; empty = none. */
  readonly host: string;
  /** Normalised path (see `match/path.ts`), starting with `/`. */
  readonly path: string;
  /** Raw query without `?`; empty = none. */
  readonly query: string;
  /** All Cookie header values joined by `; `; empty = none. */
  readonly cookie: string;
  /** Text of the client's address after trusted proxies, without IPv4-mapping. */
  readonly clientAddress: string;
  readonly scheme: 'http' | 'https';
  /** The public port that the client sees, not the one listened on. */
  readonly port: number;
  readonly tls: TlsFacts;
  /** First value of a header by its lower-case name; undefined = absent. */
  header(name: string): string | undefined;
  /** All values of a header, in order. */
  headers(name: string): readonly string[];
}

/** What a connection's TLS handshake with us says. */
export interface TlsFacts {
  /** The name that the client asked for, in lower case; empty = none. */
  readonly sni: string;
  /** The same for all connections of one TLS session, up to TLS 1.2; empty = nothing tells that they belong together. */
  readonly session: string;
  /** undefined = it was not asked for a certificate. */
  readonly client: ClientCertificate | undefined;
}

/** The answer to the question for a certificate. */
export interface ClientCertificate {
  /** Id of the ClientAuthorities that it was to be verified by. */
  readonly authorities: string;
  /** `SUCCESS`, `NONE`, or `FAILED:` and OpenSSL's name of what is wrong. */
  readonly verdict: string;
  /** As RFC 4514 writes names, in ASCII; empty = there is no certificate. */
  readonly subject: string;
  readonly issuer: string;
}

export const NO_TLS: TlsFacts = { sni: '', session: '', client: undefined };
