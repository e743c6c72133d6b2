/** Reads the host that a TLS client asks for; the connection is as it was afterwards. */
import type { Socket } from 'node:net';
import { readFirst } from '../io/first-bytes.ts';
import type { TakeReads } from '../io/take-reads.ts';
import { ClientHelloReader } from '../tls/client-hello.ts';

/**
 * @param accepted paused, and so again when `tell` is called
 * @param tell gets the name as the client writes it; empty = none. Not called when the client leaves: the connection is closed
 */
export function readServerName(accepted: Socket, takeReads: TakeReads, tell: (name: string) => void): void {
  let hello: ClientHelloReader | undefined;
  let seen = 0;
  readFirst(accepted, takeReads, {
    look: (bytes) => {
      hello ??= new ClientHelloReader();
      const done = hello.push(bytes.subarray(seen));
      seen = bytes.length;
      // OpenSSL is to see all of it.
      return done ? { length: 0, name: hello.serverName } : undefined;
    },
    found: ({ name }) => tell(name),
    ended: () => accepted.destroy(),
  });
}
