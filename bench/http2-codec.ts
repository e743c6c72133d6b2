/** Micro benchmark: nanoseconds to decode the HEADERS of a request and to encode the head of an answer, on a connection that goes on. */
import { HpackDecoder } from '../src/http2/hpack/decoder.ts';
import { block, HpackEncoder } from '../src/http2/hpack/encoder.ts';
import { huffmanEncode, huffmanLength } from '../src/http2/hpack/huffman.ts';
import { writeInteger } from '../src/http2/hpack/integer.ts';
import { STATIC_FIELDS } from '../src/http2/hpack/static-table.ts';
import { DEFAULT_LIMITS } from '../src/http2/limits.ts';
import { ServerConnection } from '../src/http2/server.ts';

const AGENT = 'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36';
/** 20 fields as a browser sends them. */
const FIELDS: [name: string, value: string][] = [
  [':method', 'GET'],
  [':authority', 'shop.example.com'],
  [':scheme', 'https'],
  [':path', '/cart/items?page=2&sort=price'],
  ['sec-ch-ua', '"Chromium";v="130", "Not?A_Brand";v="99"'],
  ['sec-ch-ua-mobile', '?0'],
  ['sec-ch-ua-platform', '"Linux"'],
  ['upgrade-insecure-requests', '1'],
  ['user-agent', AGENT],
  ['accept', 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8'],
  ['sec-fetch-site', 'same-origin'],
  ['sec-fetch-mode', 'navigate'],
  ['sec-fetch-user', '?1'],
  ['sec-fetch-dest', 'document'],
  ['referer', 'https://shop.example.com/cart/items?page=1'],
  ['accept-encoding', 'gzip, deflate, br, zstd'],
  ['accept-language', 'en-GB,en;q=0.9'],
  ['cookie', 'theme=dark'],
  ['cookie', 'hf-1a2b3c4d=AbCdEfGhIjKlMnOpQrStUvWx'],
  ['priority', 'u=0, i'],
];
const ANSWER = [
  'HTTP/1.1 200 OK',
  'Content-Type: application/json; charset=utf-8',
  'Content-Length: 1234',
  'Cache-Control: no-store',
  'Date: Tue, 15 Nov 1994 08:12:31 GMT',
  'Server: shop',
  'Vary: Accept-Encoding',
  'X-Frame-Options: DENY',
  'Strict-Transport-Security: max-age=63072000',
  'Set-Cookie: hf-1a2b3c4d=AbCdEfGhIjKlMnOpQrStUvWx; Path=/; HttpOnly',
  '\r\n',
].join('\r\n');

/** All fields as literals with Huffman; `first` = 0x40: each enters the table, 0x00: none. */
function literals(first: number): Buffer {
  const to = Buffer.alloc(4096);
  let at = 0;
  const string = (text: string): void => {
    at = huffmanEncode(text, to, writeInteger(to, at, 128, 127, huffmanLength(text)));
  };
  for (const [name, value] of FIELDS) {
    const index = STATIC_FIELDS.findIndex(([known]) => known === name) + 1;
    at = writeInteger(to, at, first, first === 0x40 ? 63 : 15, index);
    if (index === 0) string(name);
    string(value);
  }
  return to.subarray(0, at);
}

/** The same fields once all are in the table, as a browser sends its next request: one index each. */
function indexed(): Buffer {
  const to = Buffer.alloc(256);
  let at = 0;
  FIELDS.forEach((_, i) => (at = writeInteger(to, at, 128, 127, 61 + FIELDS.length - i)));
  return to.subarray(0, at);
}

function frame(type: number, flags: number, id: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(id, 5);
  return Buffer.concat([head, payload]);
}

function best(name: string, run: (times: number) => void): void {
  run(100_000);
  const times = Array.from({ length: 7 }, () => {
    const before = process.hrtime.bigint();
    run(50_000);
    return Number(process.hrtime.bigint() - before) / 50_000;
  });
  console.log(`${name}: ${Math.min(...times).toFixed(0)} ns`);
}

let read = 0;
const sink = { onField: (field: { size: number }) => (read += field.size) };
const plain = literals(0x00);
best(`decode ${FIELDS.length} fields, ${plain.length} bytes, all of them literals with Huffman`, (times) => {
  const decoder = new HpackDecoder();
  for (let i = 0; i < times; i++) decoder.decode(plain, 0, plain.length, sink);
});

const known = indexed();
best(`decode ${FIELDS.length} fields, ${known.length} bytes, all of them indexed`, (times) => {
  const decoder = new HpackDecoder();
  const first = literals(0x40);
  decoder.decode(first, 0, first.length, sink);
  for (let i = 0; i < times; i++) decoder.decode(known, 0, known.length, sink);
});

best('encode the head of an answer, 9 fields', (times) => {
  const encoder = new HpackEncoder();
  for (let i = 0; i < times; i++) {
    encoder.response(ANSWER);
    read += block.length;
  }
});

for (const [name, payload] of [
  ['all fields literal', plain],
  ['all fields indexed', known],
] as const) {
  best(`a request and its answer of 100 bytes through a connection, ${name}`, (times) => {
    const out = Buffer.alloc(64 * 1024);
    const body = Buffer.alloc(100, 'x');
    const connection: ServerConnection = new ServerConnection(
      {
        take: () => out,
        onWrite: (_, length) => (read += length),
        onHead: (stream) => (read += stream.head.cookie.length),
        onEnd(stream) {
          connection.respond(stream, ANSWER, false);
          connection.send(stream, body, 0, body.length, true);
        },
        onData: () => undefined,
        onTrailers: () => undefined,
        onRefused: () => undefined,
        onReset: () => undefined,
        onStrayFault: () => undefined,
        onWritable: () => undefined,
        onGoaway: () => undefined,
        onError(fault) {
          throw new Error(fault.name);
        },
      },
      DEFAULT_LIMITS,
      () => 0,
    );
    const windows = Buffer.from([0x7f, 0, 0, 0]);
    const hello = [
      Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
      frame(4, 0, 0, Buffer.alloc(0)),
      frame(8, 0, 0, windows),
    ];
    const start = Buffer.concat([...hello, frame(1, 5, 1, literals(0x40))]);
    connection.execute(start, 0, start.length);
    const wire = frame(1, 5, 3, payload);
    for (let i = 0; i < times; i++) {
      wire.writeUInt32BE(2 * i + 3, 5);
      connection.execute(wire, 0, wire.length);
      connection.flush();
    }
  });
}
if (read === 0) throw new Error('nothing was read');
