/** Micro benchmark: nanoseconds to parse one request head and to write it out for the backend. */
import { DEFAULT_LIMITS } from '../src/http1/limits.ts';
import { RequestParser } from '../src/http1/request-parser.ts';
import { requestText } from '../src/http1/serialize.ts';

const SMALL = 'GET /hello HTTP/1.1\r\nHost: shop.example.com\r\nUser-Agent: bench/1.0\r\nCookie: hf=AbCdEfGhIj\r\n\r\n';
const BROWSER = [
  'GET /cart/items?page=2&sort=price HTTP/1.1',
  'Host: shop.example.com',
  'Connection: keep-alive',
  'sec-ch-ua: "Chromium";v="130", "Not?A_Brand";v="99"',
  'sec-ch-ua-mobile: ?0',
  'sec-ch-ua-platform: "Linux"',
  'Upgrade-Insecure-Requests: 1',
  'User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36',
  'Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8',
  'Sec-Fetch-Site: same-origin',
  'Sec-Fetch-Mode: navigate',
  'Accept-Encoding: gzip, deflate, br, zstd',
  'Accept-Language: en-GB,en;q=0.9',
  'Cookie: theme=dark; hf-1a2b3c4d=AbCdEfGhIjKlMnOpQrStUvWx',
  '\r\n',
].join('\r\n');

let written = 0;
const edits = { extra: 'X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: http\r\n' };
const parser = new RequestParser(
  {
    onHead: (head) => (written += requestText(head, edits).length + head.cookie.length),
    onBody: () => undefined,
    onTrailers: () => undefined,
    onEnd: () => undefined,
    onError: (error) => {
      throw new Error(error.code);
    },
  },
  DEFAULT_LIMITS,
);

function run(buffer: Buffer, times: number): number {
  const before = process.hrtime.bigint();
  for (let i = 0; i < times; i++) {
    parser.execute(buffer, 0, buffer.length);
    parser.reset();
  }
  return Number(process.hrtime.bigint() - before) / times;
}

for (const [name, text] of [
  ['small', SMALL],
  ['browser', BROWSER],
] as const) {
  const buffer = Buffer.from(text, 'latin1');
  run(buffer, 200_000);
  const best = Math.min(...Array.from({ length: 7 }, () => run(buffer, 100_000)));
  console.log(`${name}: ${buffer.length} bytes, ${best.toFixed(0)} ns per request head`);
}
if (written === 0) throw new Error('nothing was written');
