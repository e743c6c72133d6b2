/**
 * Bytes that one exchange on the raw lane leaves for the garbage collector, for some requests; compared with the figures
 * in bench/allocations.json, which are the same on slow machines and fast ones: `npm run check:allocations [-- --update]`.
 * Its flags make V8 compile in step with the program, and its young generation hold all of a round.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { file, ingress, policy, service, slices } from '../test/support/manifests.ts';
import { HotPath } from './support/hot-path.ts';

/** How far a figure may be from the committed one: percent. */
const MARGIN = 5;
const WARM_UP = 30_000;
const ROUNDS = 5_000;
const RECORD = new URL('allocations.json', import.meta.url);

const PODS = Array.from({ length: 3 }, (_, i) => ({ pod: `pod-${i}`, port: 8080, address: `10.0.0.${i + 1}` }));
const site = (name: string) =>
  file(ingress({ name, host: `${name}.example`, service: name }), service(name), slices(name, PODS));
const MANIFESTS = file(
  ...['free', 'cookie', 'hash', 'table'].map(site),
  policy({
    name: 'cookie',
    ingress: 'cookie',
    session: { idleTimeout: '30m' },
    rules: [{ name: 'b', cookie: { name: 'HF' } }],
  }),
  policy({ name: 'hash', ingress: 'hash', rules: [{ name: 'h', header: { name: 'x-user', mode: 'Hash' } }] }),
  policy({ name: 'table', ingress: 'table', rules: [{ name: 't', header: { name: 'x-user', mode: 'Table' } }] }),
);

const BROWSER = [
  'Connection: keep-alive',
  'sec-ch-ua: "Chromium";v="130", "Not?A_Brand";v="99"',
  'sec-ch-ua-mobile: ?0',
  'sec-ch-ua-platform: "Linux"',
  'Upgrade-Insecure-Requests: 1',
  'User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36',
  'Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8',
  'Accept-Encoding: gzip, deflate, br, zstd',
  'Accept-Language: en-GB,en;q=0.9',
];
const PAGE = `HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nDate: Tue, 01 Jan 2030 00:00:00 GMT\r\nContent-Length: 512\r\n\r\n${'p'.repeat(512)}`;

function get(host: string, ...lines: string[]): string {
  return [`GET /cart/items?page=2 HTTP/1.1`, `Host: ${host}.example`, ...BROWSER, ...lines, '', ''].join('\r\n');
}

const path = new HotPath(MANIFESTS);
const response = Buffer.from(PAGE, 'latin1');

/** The session that the lane itself gives a client without one. */
function sessionCookie(): string {
  path.exchange(Buffer.from(get('cookie'), 'latin1'), response);
  const cookie = /^Set-Cookie: (HF=[^;]+)/m.exec(path.sent.client)?.[1];
  if (cookie === undefined) throw new Error(`there is no session in ${path.sent.client}`);
  return cookie;
}

const EXCHANGES: Readonly<Record<string, string>> = {
  'no policy': get('free'),
  'kept session': get('cookie', `Cookie: theme=dark; ${sessionCookie()}; lang=en`),
  'new session': get('cookie', 'Cookie: theme=dark'),
  'hashed key': get('hash', 'X-User: user-1'),
  'key of the table': get('table', 'X-User: user-1'),
  'kept session, POST of 1 KB': [
    'POST /cart HTTP/1.1',
    'Host: cookie.example',
    ...BROWSER,
    `Cookie: ${sessionCookie()}`,
    'Content-Length: 1024',
    '',
    'b'.repeat(1024),
  ].join('\r\n'),
};

/** The median of several, each without a collection in between. */
function bytesOf(text: string): number {
  const request = Buffer.from(text, 'latin1');
  const round = (times: number) => {
    for (let i = 0; i < times; i++) path.exchange(request, response);
  };
  round(WARM_UP);
  if (!path.sent.client.startsWith('HTTP/1.1 200')) throw new Error(`not an answer: ${path.sent.client}`);
  const figures = Array.from({ length: 5 }, () => {
    globalThis.gc?.();
    const before = process.memoryUsage().heapUsed;
    round(ROUNDS);
    return (process.memoryUsage().heapUsed - before) / ROUNDS;
  });
  return Math.round(figures.toSorted((a, b) => a - b)[2] ?? 0);
}

const now = Object.fromEntries(Object.entries(EXCHANGES).map(([name, text]) => [name, bytesOf(text)]));
if (process.argv.includes('--update')) writeFileSync(RECORD, `${JSON.stringify(now, null, 2)}\n`);
const record = JSON.parse(readFileSync(RECORD, 'utf8')) as Record<string, number>;
for (const [name, bytes] of Object.entries(now)) {
  const recorded = record[name] ?? 1;
  const change = Math.round((bytes / recorded - 1) * 100);
  const verdict = change > MARGIN ? `${change} % more: too much` : change < -MARGIN ? 'less: renew the figures' : '';
  if (change > MARGIN) process.exitCode = 1;
  process.stdout.write(`${name.padEnd(28)} ${bytes} B, recorded ${recorded} B  ${verdict}\n`);
}
