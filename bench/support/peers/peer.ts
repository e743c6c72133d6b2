/** A proxy under test, and what its clients begin with. */
import { get } from 'node:http';
import type { Child } from '../child.ts';

export interface Peer {
  readonly name: string;
  readonly child: Child;
  readonly port: number;
  /** TLS, HTTP/2 by ALPN where it has that; 0 = it has no TLS here. */
  readonly securePort: number;
  /** What a client of an established session sends. */
  readonly cookie: string;
  /** Requests so far that kept their session, where it counts them. */
  readonly kept?: () => Promise<number>;
}

/** Of TLS 1.3: what Holdfast prefers. Left alone others take what they or their clients do, and bytes cost what it costs. */
export const CIPHER = 'TLS_AES_128_GCM_SHA256';

/** `NAME=VALUE` of the first cookie that a client without one gets; a cookie of the application where there is none. */
export async function firstCookie(port: number): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const request = get({ host: '127.0.0.1', port, agent: false }, (response) => {
    response.resume();
    const cookie = response.headers['set-cookie']?.[0]?.split(';')[0] ?? 'SRV=none';
    response.on('end', () => {
      if (response.statusCode === 200) resolve(cookie);
      else reject(new Error(`status ${response.statusCode ?? 0}`));
    });
  });
  request.on('error', reject);
  return await promise;
}
