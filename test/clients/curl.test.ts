/** curl by every protocol that it and the proxy speak: sessions, uploads, downloads and many transfers at once. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { run } from './program.ts';
import { COOKIE, digest, LARGE, startSite } from './site.ts';
import type { RunningSite } from './site.ts';

/** What curl tells of one transfer. */
interface Transfer {
  readonly http_code: number;
  /** Of the answer. */
  readonly http_version: string;
  /** Connections made for it. */
  readonly num_connects: number;
  readonly url_effective: string;
}

interface Way {
  readonly name: string;
  readonly flags: readonly string[];
  readonly secure: boolean;
  /** What curl then says that it was. */
  readonly version: string;
}

/** Requests of HTTP/1.0 are answered with HTTP/1.1 (RFC 9110, section 2.5). */
const HTTP10 = { flags: ['--http1.0', '--header', 'Connection: keep-alive'], version: '1.1' };
const HTTP11 = { flags: ['--http1.1'], version: '1.1' };

const PRIOR_KNOWLEDGE: Way = {
  name: 'HTTP/2 by prior knowledge',
  secure: false,
  flags: ['--http2-prior-knowledge'],
  version: '2',
};

const WAYS: readonly Way[] = [
  { name: 'HTTP/1.0', secure: false, ...HTTP10 },
  { name: 'HTTP/1.0 over TLS', secure: true, ...HTTP10 },
  { name: 'HTTP/1.1', secure: false, ...HTTP11 },
  { name: 'HTTP/1.1 over TLS', secure: true, ...HTTP11 },
  PRIOR_KNOWLEDGE,
  { name: 'HTTP/2 over TLS', secure: true, flags: ['--http2'], version: '2' },
];

let site: RunningSite;
let upload: string;
let files = 0;

beforeAll(async () => {
  site = await startSite();
  upload = newFile();
  await writeFile(upload, LARGE);
});

function newFile(): string {
  return join(site.folder, `curl-${files++}`);
}

/** @param jar file that they are read from and written to */
function cookies(jar: string): string[] {
  return ['--cookie', jar, '--cookie-jar', jar];
}

/** Bodies go to `body`, where no argument says otherwise. */
async function curl(...args: readonly string[]): Promise<{ body: string; transfers: Transfer[]; trace: string }> {
  const usual = ['--disable', '--no-progress-meter', '--noproxy', '*', '--write-out', '%{stderr}%{json}\\n'];
  const reached = ['--connect-to', '::127.0.0.1:', '--cacert', site.ca];
  const { stdout, stderr } = await run('curl', [...usual, ...reached, ...args]);
  const reports = stderr.split('\n').filter((line) => line.startsWith('{"'));
  return { body: stdout, transfers: reports.map((line) => JSON.parse(line) as Transfer), trace: stderr };
}

describe.each(WAYS)('by $name', ({ flags, secure, version }) => {
  const url = (path = '/') => `${secure ? site.secure : site.plain}${path}`;

  test('an answer', async () => {
    const { body, transfers } = await curl(...flags, url());
    expect(body).toMatch(/^pod-\d$/);
    expect(transfers).toMatchObject([{ http_code: 200, http_version: version, num_connects: 1 }]);
  });

  test('a session lasts as long as the cookie jar', async () => {
    const jar = newFile();
    const visit = async () => await curl(...flags, ...cookies(jar), url());
    const { body: pod } = await visit();
    expect(await readFile(jar, 'utf8')).toContain(`\t${COOKIE}\t`);
    for (let turn = 0; turn < 5; turn++) expect((await visit()).body).toBe(pod);
  });

  test.each(['POST', 'PUT'])('5 MB up by %s', async (method) => {
    const sending = ['--request', method, '--data-binary', `@${upload}`];
    const { body, transfers } = await curl(...flags, ...sending, url('/upload'));
    expect(transfers).toMatchObject([{ http_code: 200, http_version: version }]);
    expect(body).toBe(digest(LARGE));
  });

  test('5 MB down', async () => {
    const output = newFile();
    const { transfers } = await curl(...flags, '--output', output, url('/large'));
    expect(transfers).toMatchObject([{ http_code: 200, http_version: version }]);
    expect(digest(await readFile(output))).toBe(digest(LARGE));
  });
});

// curl 7.88, which is Debian 12's, fails to use a connection of prior knowledge again at any server (curl/curl#10634).
test.each(WAYS.filter((way) => way !== PRIOR_KNOWLEDGE))(
  'requests one after the other share a connection: $name',
  async ({ flags, secure }) => {
    const origin = secure ? site.secure : site.plain;
    const { transfers } = await curl(...flags, origin, origin, origin);
    expect(transfers.map(({ num_connects }) => num_connects)).toEqual([1, 0, 0]);
  },
);

test('HTTP/1.0 is what is asked; unless it wants more, a connection is for one request', async () => {
  const { trace, transfers } = await curl('--http1.0', '--verbose', site.plain, site.plain);
  expect(trace).toContain('> GET / HTTP/1.0');
  expect(transfers.map(({ num_connects }) => num_connects)).toEqual([1, 1]);
});

test('a token of one protocol is good for the others', async () => {
  const jar = newFile();
  const visit = async (flag: string) => await curl(flag, ...cookies(jar), site.secure);
  const { body: pod } = await visit('--http2');
  const token = await readFile(jar, 'utf8');
  for (const flag of ['--http1.1', '--http1.0', '--http2']) expect((await visit(flag)).body).toBe(pod);
  expect(await readFile(jar, 'utf8')).toBe(token);
});

test('HTTP/2 by upgrade is not taken up', async () => {
  const { trace, transfers } = await curl('--http2', '--verbose', site.plain);
  expect(trace).toContain('> Upgrade: h2c');
  expect(transfers).toMatchObject([{ http_code: 200, http_version: '1.1' }]);
});

test('100 transfers at once over one connection of HTTP/2, all of one session', async () => {
  const user = ['--http2', ...cookies(newFile())];
  const { body: pod } = await curl(...user, site.secure);
  const { body, transfers } = await curl(...user, '--parallel', '--parallel-max', '100', `${site.secure}/[1-100]`);
  expect(body).toBe(pod.repeat(100));
  expect(transfers).toHaveLength(100);
  for (const transfer of transfers) expect(transfer).toMatchObject({ http_code: 200, http_version: '2' });
  expect(transfers.reduce((sum, { num_connects }) => sum + num_connects, 0)).toBe(1);
});

test('plain HTTP is sent to HTTPS, where HTTP/2 is spoken', async () => {
  const origin = `http://web.test:${site.app.port}`;
  const unfollowed = await curl(`${origin}/a?b=c`);
  expect(unfollowed.transfers).toMatchObject([{ http_code: 308 }]);
  const { body, transfers } = await curl('--location', '--data-binary', `@${upload}`, `${origin}/a?b=c`);
  expect(transfers).toMatchObject([{ http_code: 200, http_version: '2', url_effective: `${site.secure}/a?b=c` }]);
  expect(body).toBe(digest(LARGE));
});
