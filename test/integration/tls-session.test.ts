/** Key `tlsSession` with real TLS clients: those that resume a session of TLS 1.2 keep their pod, whichever worker takes the connection. */
import { constants } from 'node:crypto';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { connect } from 'node:tls';
import type { ConnectionOptions, TLSSocket } from 'node:tls';
import { beforeAll, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { selfSigned } from '../../src/control/self-signed.ts';
import { Client, closeAtEnd, file, ingress, policy, service, slices, startApp, startBackends } from '../support/app.ts';
import type { App } from '../support/app.ts';
import { Answer } from '../support/client.ts';
import { tlsSecret } from '../support/manifests.ts';

const HOST = 'web.test';
const TLS12 = { minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2' } as const;
const WITHOUT_TICKETS: ConnectionOptions = { ...TLS12, secureOptions: constants.SSL_OP_NO_TICKET };
/** So many connections that by chance alone the kernel deals them all to one of two workers once in 32,768 times. */
const MANY = 16;

let app: App;

beforeAll(async () => {
  const backends = await startBackends('web-0', 'web-1', 'web-2');
  const ports = backends.map(({ pod, port }) => ({ pod, port }));
  app = await startApp({
    manifests: file(
      ingress({ host: HOST, annotations: { 'holdfast.dev/ssl-redirect': 'false' } }),
      service(),
      slices('web', ports),
      policy({ rules: [{ name: 'ssl', tlsSession: { mode: 'Table' } }] }),
      tlsSecret('web', selfSigned({ names: [HOST] })),
    ),
    config: { httpsPort: 0, workers: 2 },
  });
});

/** One request over a connection of its own. */
async function visit(options: ConnectionOptions): Promise<{ pod: string; session: Buffer; reused: boolean }> {
  const target = { host: '127.0.0.1', port: app.httpsPort, servername: HOST, rejectUnauthorized: false, agent: false };
  const request = httpsRequest({ ...target, headers: { host: HOST }, ...options });
  request.end();
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  const socket = response.socket as TLSSocket;
  const { session = Buffer.alloc(0), reused } = { session: socket.getSession(), reused: socket.isSessionReused() };
  let text = '';
  response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
  await once(response, 'end');
  expect(response.statusCode).toBe(200);
  return { pod: new Answer(200, response.headers, text).pod, session, reused };
}

async function counted(during: () => Promise<void>): Promise<Record<string, number>> {
  const read = async () =>
    (await app.metrics()).all('holdfast_decisions_total', { policy: 'web' }).map(({ labels, value }) => {
      return [`${labels['rule']} ${labels['outcome']} ${labels['reason']}`, value] as const;
    });
  const before = new Map(await read());
  await during();
  const grown = (await read()).map(([key, value]) => [key, value - (before.get(key) ?? 0)] as const);
  return Object.fromEntries(grown.filter(([, value]) => value > 0));
}

test.each<[string, ConnectionOptions]>([
  ['its ticket', TLS12],
  ['its id', WITHOUT_TICKETS],
])(
  'F16 a client that resumes by %s comes to its pod, by every worker; a new session is a new client',
  async (_, options) => {
    const pods = new Set<string>();
    const counts = await counted(async () => {
      for (let i = 0; i < 3; i++) {
        const first = await visit(options);
        expect(first.reused).toBe(false);
        pods.add(first.pod);
        for (let j = 0; j < MANY; j++)
          expect(await visit({ ...options, session: first.session })).toMatchObject({ pod: first.pod, reused: true });
      }
    });
    expect(counts).toEqual({ 'ssl new -': 3, 'ssl kept -': 3 * MANY });
    expect(pods.size).toBe(3);
  },
);

test('a WebSocket that resumes the session has the same pod', async () => {
  const { pod, session } = await visit(TLS12);
  const options: WebSocket.ClientOptions & ConnectionOptions = {
    ...TLS12,
    session,
    headers: { host: HOST },
    servername: HOST,
    rejectUnauthorized: false,
  };
  const counts = await counted(async () => {
    for (let i = 0; i < 4; i++) {
      const socket = new WebSocket(`wss://127.0.0.1:${app.httpsPort}/ws`, options);
      closeAtEnd(async () => socket.terminate());
      expect(String((await once(socket, 'message'))[0])).toBe(pod);
      socket.close();
      await once(socket, 'close');
    }
  });
  expect(counts).toEqual({ 'ssl kept -': 4 });
});

describe('the key is missing', () => {
  test('with TLS 1.3, whose sessions are resumed all the same', async () => {
    const versions = { minVersion: 'TLSv1.3', maxVersion: 'TLSv1.3' } as const;
    const pods = new Set<string>();
    const counts = await counted(async () => {
      let session: Buffer | undefined;
      for (let i = 0; i < 6; i++) {
        const answer = await visit({ ...versions, ...(session === undefined ? {} : { session }) });
        expect(answer.reused).toBe(i > 0);
        session = answer.session;
        pods.add(answer.pod);
      }
    });
    expect(counts).toEqual({ ' stateless missing_key': 6 });
    expect(pods.size).toBe(3);
  });

  test('without TLS', async () => {
    const counts = await counted(async () => {
      expect((await new Client(app.port, { host: HOST }).get('/')).status).toBe(200);
    });
    expect(counts).toEqual({ ' stateless missing_key': 1 });
  });
});

test('sessions are kept by their ids only while a policy asks for them', async () => {
  const rules = policy({ rules: [{ name: 'ssl', tlsSession: { mode: 'Table' } }] });
  const other = await startApp({
    manifests: {
      'site.yaml': file(ingress({ host: HOST }), service(), slices('web', [])),
      'policy.yaml': service('x'),
    },
    config: { httpsPort: 0, workers: 1 },
  });
  const resumed = async (): Promise<boolean> => {
    const { session } = await handshake(other);
    return (await handshake(other, session)).reused;
  };
  expect(await resumed()).toBe(false);
  await other.change('policy.yaml', rules);
  expect(await resumed()).toBe(true);
  const { session } = await handshake(other);
  await other.change('policy.yaml', service('x'));
  expect((await handshake(other, session)).reused).toBe(false);
  expect(await resumed()).toBe(false);
});

async function handshake(to: App, session?: Buffer): Promise<{ session: Buffer; reused: boolean }> {
  const target = { host: '127.0.0.1', port: to.httpsPort, servername: HOST, rejectUnauthorized: false };
  const socket = connect({ ...target, ...WITHOUT_TICKETS, ...(session === undefined ? {} : { session }) });
  await once(socket, 'secureConnect');
  const answer = { session: socket.getSession() ?? Buffer.alloc(0), reused: socket.isSessionReused() };
  socket.destroy();
  return answer;
}

test('the author is told what the key is limited to', async () => {
  expect(await app.problems()).toMatchObject([
    {
      severity: 'warning',
      field: 'spec.rules[0].tlsSession',
      message: expect.stringContaining('LimitedToTLS12') as unknown,
    },
  ]);
});
