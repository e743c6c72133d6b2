/** Certificates for servers on loopback, made with what Node has, so that the tests need no openssl. */
import { selfSigned as make } from '../../src/control/self-signed.ts';

export interface Certificate {
  /** PEM. */
  readonly key: string;
  /** PEM; signed by its own key, so it is its CA as well. */
  readonly cert: string;
}

/** For 127.0.0.1. */
export function selfSigned(name: string): Certificate {
  const { chain, key } = make({ names: [name, '127.0.0.1'] });
  return { key, cert: chain };
}
