/** The TLS servers of one worker while their certificates are replaced: nobody notices, and nothing is left behind. */
import { once } from 'node:events';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { connect, createSecureContext } from 'node:tls';
import type { TLSSocket } from 'node:tls';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, test } from 'vitest';
import { selfSigned } from '../../src/control/self-signed.ts';
import { READ_BYTES } from '../../src/http1/scan.ts';
import { readsInto } from '../../src/io/take-reads.ts';
import type { TableDelta } from '../../src/shared/messages.ts';
import { Certificates } from '../../src/worker/certificates.ts';
import { readServerName } from '../../src/worker/server-name.ts';
import { TlsServers } from '../../src/worker/tls-servers.ts';
import { TlsSessions } from '../../src/worker/tls-sessions.ts';
import { closeAtEnd } from '../support/cleanup.ts';
import { authority } from '../support/authority.ts';

const SWAPS = 1_000;
/** What a process grows by anyway. */
const SLACK = 32 * 1024 * 1024;

const NAMES = ['web.test'] as const;
/** OpenSSL finds an issuer by its name, so each has one of its own. */
const PAIRS = [1, 2, 3, 4].map((i) =>
  selfSigned({ names: [`${i}.test`, ...NAMES], keyType: i % 2 === 0 ? 'rsa' : 'ec' }),
);
const CLIENTS = [{}, { sigalgs: 'RSA-PSS+SHA256:RSA+SHA256' }, { maxVersion: 'TLSv1.2' } as const].map((options) =>
  createSecureContext({ ca: PAIRS.map(({ chain }) => chain), ...options }),
);
const AUTHORITIES = [1, 2].map((i) => ({
  id: `authorities ${i}`,
  certificates: authority(`${i}`).certificate,
  revocations: [],
}));

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

function memory(): number {
  collect();
  return process.memoryUsage().rss;
}

const NOTHING: TableDelta = {
  version: 1,
  chunks: [],
  pools: [],
  removedPools: [],
  policies: [],
  removedPolicies: [],
  affinities: [],
  removedAffinities: [],
  hosts: [],
  removedHosts: [],
  certificates: [],
  removedCertificates: [],
  tlsHosts: [],
  removedTlsHosts: [],
  upstreamTls: [],
  removedUpstreamTls: [],
  clientAuthorities: [],
  removedClientAuthorities: [],
  slots: [],
  removedSlots: [],
};

/** Both certificates of the host, and its authorities, are other ones than those of `i - 1`. */
function swap(i: number): TableDelta {
  const pairOf = (k: number) => PAIRS[k % PAIRS.length] ?? { chain: '', key: '' };
  return {
    ...NOTHING,
    certificates: [
      { secret: 'test/one', ...pairOf(2 * i) },
      { secret: 'test/two', ...pairOf(2 * i + 1) },
    ],
    clientAuthorities: AUTHORITIES.filter((_, k) => k === i % 2),
    removedClientAuthorities: AUTHORITIES.filter((_, k) => k !== i % 2).map(({ id }) => id),
  };
}

function serversAsking(
  authoritiesOf: () => string | undefined,
  onSecured: (socket: TLSSocket) => void = () => undefined,
  onRefused: (message: string) => void = (message) => expect.unreachable(message),
): TlsServers {
  const certificates = new Certificates({
    selfSigned: selfSigned({ names: ['nobody.test'] }),
    ticketKeys: Buffer.alloc(48, 1),
    onRefused,
  });
  const sessions = new TlsSessions('test');
  return new TlsServers({ certificates, sessions, handshakeTimeout: 60_000, authoritiesOf, onSecured });
}

/** Else their requests would be sent from connection to connection: 421, for one that is asked. */
test('clients are asked for certificates of the authorities that the table names, whatever OpenSSL makes of their text', () => {
  for (const certificates of ['nobody', authority('odd').certificate.slice(0, -30)]) {
    const servers = serversAsking(() => 'odd');
    servers.apply({ ...NOTHING, clientAuthorities: [{ id: 'odd', certificates, revocations: [] }] });
    expect(servers.serverFor('web.test').authorities).toBe('odd');
  }
});

test('of authorities with a revocation list that OpenSSL does not take nobody is good', () => {
  const refused: string[] = [];
  const servers = serversAsking(
    () => 'odd',
    undefined,
    (message) => void refused.push(message),
  );
  const odd = authority('odd');
  const revocations = ['-----BEGIN X509 CRL-----\nMAA=\n-----END X509 CRL-----\n'];
  servers.apply({ ...NOTHING, clientAuthorities: [{ id: 'odd', certificates: odd.certificate, revocations }] });
  expect(servers.serverFor('web.test').authorities).toBe('odd');
  expect(refused).toEqual([expect.stringContaining('refuses revocation lists')]);
});

const takeReads = readsInto(Buffer.alloc(READ_BYTES));

test(`certificates and authorities are replaced ${SWAPS} times: no handshake and no connection fails, and memory stays flat`, async () => {
  let current = 0;
  const servers = serversAsking(
    () => AUTHORITIES[current % 2]?.id,
    (socket) => socket.on('data', (bytes: Buffer) => socket.write(bytes)).on('error', () => socket.destroy()),
  );
  servers.apply({ ...NOTHING, tlsHosts: [{ host: 'web.test', secrets: ['test/one', 'test/two'] }] });
  servers.apply(swap(0));
  const listener = createServer({ pauseOnConnect: true, noDelay: true }, (tcp) => {
    readServerName(tcp, takeReads, (name) => servers.serverFor(name).server.emit('connection', tcp));
  });
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  closeAtEnd(async () => void listener.close());
  const { port } = listener.address() as AddressInfo;

  const visit = async (secureContext = CLIENTS[0]): Promise<TLSSocket> => {
    const socket = connect({
      host: '127.0.0.1',
      port,
      servername: 'web.test',
      ...(secureContext && { secureContext }),
    });
    await once(socket, 'secureConnect');
    return socket;
  };
  const echo = async (socket: TLSSocket): Promise<void> => {
    socket.write('hello');
    expect(String((await once(socket, 'data'))[0])).toBe('hello');
  };

  const kept = await visit();
  let used = 0;
  let visits = 0;
  let over = false;
  const load = CLIENTS.map(async (client) => {
    while (!over) {
      const socket = await visit(client);
      await echo(socket);
      socket.destroy();
      visits++;
    }
  });
  const swaps = (async () => {
    for (current = 1; current <= SWAPS; current++) {
      servers.apply(swap(current));
      await echo(kept);
      if (current === SWAPS / 4) used = memory();
    }
  })();
  await swaps.finally(() => (over = true));
  await Promise.all(load);
  kept.destroy();
  expect(visits).toBeGreaterThan(SWAPS / 2);
  expect(memory() - used).toBeLessThan(SLACK);
}, 120_000);
