/** HPACK: the examples of RFC 7541, Appendix C, and encoder against decoder. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { HpackDecoder } from '../../../src/http2/hpack/decoder.ts';
import { block, HpackEncoder } from '../../../src/http2/hpack/encoder.ts';
import { huffmanDecode, huffmanEncode, huffmanLength, maxDecoded } from '../../../src/http2/hpack/huffman.ts';
import { CODE_BITS, CODES } from '../../../src/http2/hpack/huffman-lengths.ts';
import { cursor, readInteger, writeInteger } from '../../../src/http2/hpack/integer.ts';
import { STATIC_FIELDS } from '../../../src/http2/hpack/static-table.ts';

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex');

/** The fields of a block as `name: value`, those never to be indexed with `!` in front; undefined = malformed. */
function decode(decoder: HpackDecoder, wire: Buffer): string[] | undefined {
  const fields: string[] = [];
  const buffer = Buffer.from(wire);
  const right = decoder.decode(buffer, 0, buffer.length, {
    onField: (field) => fields.push(`${field.never ? '!' : ''}${field.name}: ${field.value}`),
  });
  return right ? fields : undefined;
}

const written = (): Buffer => Buffer.from(block.bytes.subarray(0, block.length));

describe('integers (C.1)', () => {
  test.each([
    ['C.1.1', 10, 31, '0a'],
    ['C.1.2', 1337, 31, '1f9a0a'],
    ['C.1.3', 42, 255, '2a'],
  ])('%s: %i', (_section, value, mask, wire) => {
    const to = Buffer.alloc(8);
    const end = writeInteger(to, 0, 0, mask, value);
    expect(to.toString('hex', 0, end)).toBe(wire);
    expect(readInteger(to, 0, end, mask)).toBe(value);
    expect(cursor.at).toBe(end);
  });

  test('what was written is read again', () => {
    const to = Buffer.alloc(8);
    fc.assert(
      fc.property(fc.nat(1 << 24), fc.constantFrom(127, 63, 31, 15), (value, mask) => {
        const end = writeInteger(to, 0, 0, mask, value);
        expect(readInteger(to, 0, end, mask)).toBe(value);
        expect(readInteger(to, 0, end - 1, mask)).toBe(end === 1 ? value : -1);
      }),
    );
  });
});

describe('field blocks', () => {
  test.each([
    ['C.2.1', '400a637573746f6d2d6b65790d637573746f6d2d686561646572', ['custom-key: custom-header'], 55],
    ['C.2.2', '040c2f73616d706c652f70617468', [':path: /sample/path'], 0],
    ['C.2.3', '100870617373776f726406736563726574', ['!password: secret'], 0],
    ['C.2.4', '82', [':method: GET'], 0],
  ])('%s', (_section, wire, fields, size) => {
    const decoder = new HpackDecoder();
    expect(decode(decoder, hex(wire))).toEqual(fields);
    expect(decoder.tableSize).toBe(size);
  });

  const requests = [
    [':method: GET', ':scheme: http', ':path: /', ':authority: www.example.com'],
    [':method: GET', ':scheme: http', ':path: /', ':authority: www.example.com', 'cache-control: no-cache'],
    [':method: GET', ':scheme: https', ':path: /index.html', ':authority: www.example.com', 'custom-key: custom-value'],
  ];
  const date = 'date: Mon, 21 Oct 2013 20:13:2';
  const responses = [
    [':status: 302', 'cache-control: private', `${date}1 GMT`, 'location: https://www.example.com'],
    [':status: 307', 'cache-control: private', `${date}1 GMT`, 'location: https://www.example.com'],
    [
      ':status: 200',
      'cache-control: private',
      `${date}2 GMT`,
      'location: https://www.example.com',
      'content-encoding: gzip',
      'set-cookie: foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1',
    ],
  ];

  test.each([
    [
      'C.3, requests',
      [
        '828684410f7777772e6578616d706c652e636f6d',
        '828684be58086e6f2d6361636865',
        '828785bf400a637573746f6d2d6b65790c637573746f6d2d76616c7565',
      ],
      requests,
      [57, 110, 164],
    ],
    [
      'C.4, requests with Huffman',
      [
        '828684418cf1e3c2e5f23a6ba0ab90f4ff',
        '828684be5886a8eb10649cbf',
        '828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf',
      ],
      requests,
      [57, 110, 164],
    ],
    // These have a table of 256 bytes: said by an update in front.
    [
      'C.5, responses',
      [
        '3fe101 4803333032580770726976617465611d4d6f6e2c203231204f637420323031332032303a31333a323120474d546e1768747470733a2f2f7777772e6578616d706c652e636f6d',
        '4803333037c1c0bf',
        '88c1611d4d6f6e2c203231204f637420323031332032303a31333a323220474d54c05a04677a69707738666f6f3d4153444a4b48514b425a584f5157454f50495541585157454f49553b206d61782d6167653d333630303b2076657273696f6e3d31',
      ],
      responses,
      [222, 222, 215],
    ],
    [
      'C.6, responses with Huffman',
      [
        '3fe101 488264025885aec3771a4b6196d07abe941054d444a8200595040b8166e082a62d1bff6e919d29ad171863c78f0b97c8e9ae82ae43d3',
        '4883640effc1c0bf',
        '88c16196d07abe941054d444a8200595040b8166e084a62d1bffc05a839bd9ab77ad94e7821dd7f2e6c7b335dfdfcd5b3960d5af27087f3672c1ab270fb5291f9587316065c003ed4ee5b1063d5007',
      ],
      responses,
      [222, 222, 215],
    ],
  ])('%s', (_name, wires, fields, sizes) => {
    const decoder = new HpackDecoder();
    wires.forEach((wire, i) => {
      expect(decode(decoder, hex(wire))).toEqual(fields[i]);
      expect(decoder.tableSize).toBe(sizes[i]);
    });
  });
});

describe('Huffman', () => {
  test('the code is complete: no bits are without meaning (Kraft)', () => {
    expect(CODE_BITS.length).toBe(257);
    expect(CODE_BITS.reduce((sum, bits) => sum + 2 ** -bits, 0)).toBe(1);
    // Appendix B: the first, the last and EOS.
    expect([CODES[0], CODES[255], CODES[256]]).toEqual([0x1ff8, 0x3ffffee, 0x3fffffff]);
  });

  test('what was encoded is decoded again, and cut short it is not', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 60, unit: fc.nat(255).map((byte) => String.fromCharCode(byte)) }), (text) => {
        const length = huffmanLength(text);
        const encoded = Buffer.alloc(length + 1, 0x5a);
        expect(huffmanEncode(text, encoded, 0)).toBe(length);
        expect(encoded[length]).toBe(0x5a);
        const decoded = Buffer.alloc(maxDecoded(length));
        expect(decoded.toString('latin1', 0, huffmanDecode(encoded, 0, length, decoded, 0))).toBe(text);
      }),
      { numRuns: 500 },
    );
  });

  test('every byte alone', () => {
    for (let byte = 0; byte < 256; byte++) {
      const text = String.fromCharCode(byte);
      const encoded = Buffer.alloc(4);
      const end = huffmanEncode(text, encoded, 0);
      const decoded = Buffer.alloc(maxDecoded(4));
      expect(huffmanDecode(encoded, 0, end, decoded, 0)).toBe(1);
      expect(decoded[0]).toBe(byte);
    }
  });
});

describe('the encoder', () => {
  const response = 'HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nSet-Cookie: a=b\r\nX-A:  b\t\r\n\r\n';
  const fields = [':status: 200', 'content-type: text/html', '!set-cookie: a=b', 'x-a: b'];

  test('fields are one byte the second time, secrets never', () => {
    const encoder = new HpackEncoder();
    const decoder = new HpackDecoder();
    encoder.response(response);
    expect(decode(decoder, written())).toEqual(fields);
    encoder.response(response);
    const second = written();
    expect(second.length).toBe(1 + 1 + (2 + 1 + 3) + 1);
    expect(decode(decoder, second)?.map((field) => field.replace('!', ''))).toEqual(
      fields.map((field) => field.replace('!', '')),
    );
    expect(decoder.tableSize).toBe(encoder.tableSize);
  });

  test('names that somebody wants never to be indexed are not', () => {
    const encoder = new HpackEncoder();
    const decoder = new HpackDecoder();
    const want = [':status: 200', 'content-type: text/html', '!set-cookie: a=b', '!x-a: b'];
    for (let i = 0; i < 2; i++) {
      encoder.response(response, ['x-a']);
      expect(decode(decoder, written())).toEqual(want);
    }
  });

  test('fields of the connection and Host are left out', () => {
    const encoder = new HpackEncoder();
    encoder.response('HTTP/1.1 404 No\r\nConnection: close\r\nTransfer-Encoding: chunked\r\nKeep-Alive: x\r\n\r\n');
    expect(decode(new HpackDecoder(), written())).toEqual([':status: 404']);
  });

  test('a request', () => {
    const encoder = new HpackEncoder();
    encoder.request('PUT /a?b HTTP/1.1\r\nX-A: 1\r\nHost: a.example\r\nCookie: s=1\r\n\r\n', 'http');
    const decoder = new HpackDecoder();
    expect(decode(decoder, written())).toEqual([
      ':method: PUT',
      ':scheme: http',
      ':path: /a?b',
      ':authority: a.example',
      'x-a: 1',
      '!cookie: s=1',
    ]);
    encoder.request('GET /chat HTTP/1.1\r\nHost: a.example\r\n\r\n', 'https', 'websocket');
    expect(decode(decoder, written())).toEqual([
      ':method: CONNECT',
      ':scheme: https',
      ':path: /chat',
      ':authority: a.example',
      ':protocol: websocket',
    ]);
  });

  test('values that are never seen twice stop entering the table, and may come back', () => {
    const encoder = new HpackEncoder();
    const decoder = new HpackDecoder();
    const sizes = Array.from({ length: 40 }, (_, i) => {
      encoder.response(`HTTP/1.1 200 OK\r\nX-Once: ${i}\r\n\r\n`);
      decode(decoder, written());
      return encoder.tableSize;
    });
    expect(new Set(sizes).size).toBeLessThan(8);
    for (let i = 0; i < 70; i++) {
      encoder.response('HTTP/1.1 200 OK\r\nX-Once: always\r\n\r\n');
      decode(decoder, written());
    }
    expect(written().length).toBe(2);
  });

  test('the table’s size follows the peer, and it is told the smallest in between (4.2)', () => {
    const encoder = new HpackEncoder();
    const decoder = new HpackDecoder();
    encoder.response(response);
    decode(decoder, written());
    encoder.setMaxSize(0);
    encoder.setMaxSize(100);
    encoder.response(response);
    expect(written().toString('hex')).toMatch(/^203f4588/);
    expect(decode(decoder, written())).toEqual(fields);
    expect(encoder.tableSize).toBe(decoder.tableSize);
    expect(encoder.tableSize).toBeLessThanOrEqual(100);
    encoder.setMaxSize(1 << 20);
    encoder.response(response);
    expect(written().toString('hex')).toMatch(/^3fe11f/);
    expect(decode(decoder, written())?.length).toBe(4);
  });

  test('whatever it encodes, the decoder reads, and both tables stay the same', () => {
    const name = fc.constantFrom('X-A', 'x-a', 'Server', 'etag', 'Set-Cookie', 'x-long-name-of-a-field', 'Date');
    const value = fc.oneof(
      fc.string({
        maxLength: 40,
        unit: fc
          .integer({ min: 33, max: 255 })
          .filter((c) => c !== 127)
          .map((c) => String.fromCharCode(c)),
      }),
      fc.constantFrom('a', 'b', 'v'.repeat(200), 'w'.repeat(600)),
    );
    const sizes = fc.option(fc.constantFrom(0, 64, 300, 4096, 10_000), { freq: 8 });
    const blocks = fc.array(fc.tuple(sizes, fc.array(fc.tuple(name, value), { maxLength: 12 })), { maxLength: 20 });
    fc.assert(
      fc.property(blocks, (all) => {
        const encoder = new HpackEncoder();
        const decoder = new HpackDecoder();
        for (const [size, lines] of all) {
          if (size !== null) encoder.setMaxSize(size);
          encoder.trailers(lines.map(([n, v]) => `${n}: ${v}\r\n`).join(''));
          const want = lines.map(([n, v]) => `${n.toLowerCase()}: ${v}`);
          expect(decode(decoder, written())?.map((field) => field.replace(/^!/, ''))).toEqual(want);
          expect(decoder.tableSize).toBe(encoder.tableSize);
        }
      }),
      { numRuns: 300 },
    );
  });

  test('lines in whatever order and as many as push each other out are read as they were written', () => {
    const line = fc.integer({ min: 0, max: 24 });
    fc.assert(
      fc.property(fc.array(fc.array(line, { maxLength: 20 }), { minLength: 4, maxLength: 40 }), (all) => {
        const encoder = new HpackEncoder();
        const decoder = new HpackDecoder();
        for (const numbers of all) {
          // Each takes a tenth of the table; some begin as others do.
          const lines = numbers.map((n) => `x-${n % 5}: ${'v'.repeat(300 + (n % 2))}${n}`);
          encoder.trailers(lines.map((text) => `${text}\r\n`).join(''));
          expect(decode(decoder, written())).toEqual(lines);
          expect(decoder.tableSize).toBe(encoder.tableSize);
        }
      }),
    );
  });
});

describe('the decoder', () => {
  test('random bytes are decoded or refused, and the table keeps its limit', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 120 }), { maxLength: 10 }), (blocks) => {
        const decoder = new HpackDecoder();
        for (const bytes of blocks) decode(decoder, Buffer.from(bytes));
        expect(decoder.tableSize).toBeLessThanOrEqual(4096);
      }),
      { numRuns: 3000 },
    );
  });

  test('a block cut anywhere is refused or ends between two fields', () => {
    const wire = hex('88c16196d07abe941054d444a8200595040b8166e084a62d1bff'.replace('c1', '82'));
    const whole = decode(new HpackDecoder(), wire) ?? [];
    expect(whole.length).toBe(3);
    for (let at = 0; at < wire.length; at++) {
      const part = decode(new HpackDecoder(), wire.subarray(0, at));
      if (part !== undefined) expect(part).toEqual(whole.slice(0, part.length));
    }
  });

  test('the static table has 61 fields', () => {
    expect(STATIC_FIELDS.length).toBe(61);
    expect(decode(new HpackDecoder(), Buffer.from([0xbd]))).toEqual(['www-authenticate: ']);
    expect(decode(new HpackDecoder(), Buffer.from([0xbe]))).toBeUndefined();
  });
});
