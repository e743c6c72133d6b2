/** The account of a pod: files that are replaced as kubelet replaces them, against a real HTTPS server. */
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { createServer, request, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { PodAccount } from '../../../../src/source/kubernetes/pod-account.ts';
import { selfSigned, type Certificate } from '../../../support/certificate.ts';

const MINUTE = 60_000;
const first = selfSigned('first');
const second = selfSigned('second');

let folder: string;
let server: Server;
let now: number;
let versions: number;
let accounts: PodAccount[];

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-account-'));
  now = 0;
  versions = 0;
  accounts = [];
  server = createServer(first, (asked, response) => response.end(asked.headers.authorization ?? 'nobody'));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  mount({ token: 'one\n', namespace: 'shop\n', 'ca.crt': first.cert });
  for (const name of ['token', 'namespace', 'ca.crt']) symlinkSync(`..data/${name}`, join(folder, name));
});

afterEach(async () => {
  for (const account of accounts) account.close();
  server.closeAllConnections();
  const closed = once(server, 'close');
  server.close();
  await closed;
  rmSync(folder, { recursive: true });
});

/** All at once, as kubelet does: a new folder, and a link to it that is renamed over the old one. */
function mount(files: Readonly<Record<string, string>>): void {
  const version = `..${++versions}`;
  mkdirSync(join(folder, version));
  for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, version, name), content);
  symlinkSync(version, join(folder, '..data_tmp'));
  renameSync(join(folder, '..data_tmp'), join(folder, '..data'));
}

function open(env: Record<string, string> = {}): PodAccount {
  const { port } = server.address() as AddressInfo;
  const where = { KUBERNETES_SERVICE_HOST: '127.0.0.1', KUBERNETES_SERVICE_PORT: String(port), ...env };
  const account = new PodAccount({ keepAlive: 1000, folder, env: where, now: () => now });
  accounts.push(account);
  return account;
}

/** What the server has heard of who asks. */
async function ask(account: PodAccount): Promise<string> {
  const { server: url, agent, headers } = await account.access();
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  request(url, { agent, headers }, resolve).on('error', reject).end();
  return await text(await promise);
}

test('the token is sent, and the namespace is known', async () => {
  const account = open();
  expect(account.namespace).toBe('shop');
  expect(await ask(account)).toBe('Bearer one');
});

test('a replaced token is used within a minute, and at once after a refusal', async () => {
  const account = open();
  mount({ token: 'two', 'ca.crt': first.cert });
  expect(await ask(account)).toBe('Bearer one');
  now = MINUTE + 1;
  expect(await ask(account)).toBe('Bearer two');
  mount({ token: 'three', 'ca.crt': first.cert });
  account.refresh();
  expect(await ask(account)).toBe('Bearer three');
});

test('a replaced CA is used within a minute', async () => {
  const account = open();
  const { agent } = await account.access();
  server.setSecureContext(second);
  mount({ token: 'one', 'ca.crt': second.cert });
  await expect(ask(account)).rejects.toThrow(/self-signed certificate/);
  now = MINUTE + 1;
  expect(await ask(account)).toBe('Bearer one');
  // While the CA stays the same, so do the connections.
  const current = (await account.access()).agent;
  expect(current).not.toBe(agent);
  now += MINUTE + 1;
  expect((await account.access()).agent).toBe(current);
});

const BROKEN: readonly [string, (good: Certificate) => Record<string, string>, RegExp][] = [
  ['no token', ({ cert }) => ({ 'ca.crt': cert }), /ENOENT.*\/token'$/],
  ['an empty token', ({ cert }) => ({ 'ca.crt': cert, token: ' \n' }), /\/token is empty$/],
  ['no CA', () => ({ token: 'one' }), /ENOENT.*\/ca\.crt'$/],
  ['an empty CA', () => ({ token: 'one', 'ca.crt': '' }), /\/ca\.crt is empty$/],
  ['a CA that is none', () => ({ token: 'one', 'ca.crt': 'hello' }), /\/ca\.crt is no PEM certificate$/],
];

test.each(BROKEN)('%s at the start: it says so, and the next start is a good one', async (_name, files, message) => {
  mount(files(first));
  expect(() => open()).toThrow(message);
  mount({ token: 'two', 'ca.crt': first.cert });
  expect(await ask(open())).toBe('Bearer two');
});

test.each(BROKEN)('%s later: it is told, what there was goes on being used', async (_name, files, message) => {
  const account = open();
  mount(files(first));
  now = MINUTE + 1;
  await expect(ask(account)).rejects.toThrow(message);
  expect(await ask(account)).toBe('Bearer one');
  // The server refuses what there was, and the client has the files read again.
  expect(() => account.refresh()).toThrow(message);
  mount({ token: 'three', 'ca.crt': first.cert });
  account.refresh();
  expect(await ask(account)).toBe('Bearer three');
});

test('no message tells a token', () => {
  mount({ token: 'secret', 'ca.crt': 'secret' });
  expect(() => open()).toThrow(/^(?!.*secret)/);
});

test.each([
  ['10.0.0.1', '443', 'https://10.0.0.1/'],
  ['fd00::1', '6443', 'https://[fd00::1]:6443/'],
  ['kubernetes.default', '443', 'https://kubernetes.default/'],
])('the API server at %s port %s', async (host, port, url) => {
  const account = open({ KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port });
  expect((await account.access()).server.href).toBe(url);
});

test.each([
  [{ KUBERNETES_SERVICE_HOST: '' }, 'KUBERNETES_SERVICE_HOST is not set'],
  [{ KUBERNETES_SERVICE_PORT: '' }, 'KUBERNETES_SERVICE_PORT is not set'],
  [{ KUBERNETES_SERVICE_PORT: 'tcp://1' }, 'KUBERNETES_SERVICE_PORT are no host and port: 127.0.0.1, tcp://1'],
])('an environment that lacks something says what: %o', (env, message) => {
  expect(() => open(env)).toThrow(message);
});
