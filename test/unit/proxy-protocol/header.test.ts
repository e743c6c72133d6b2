/** PROXY protocol headers: what is read, what is refused, however it arrives; and that what we write reads back. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Ends } from '../../../src/model/ends.ts';
import { formatIp, ipOfWords } from '../../../src/model/ip.ts';
import { crc32c } from '../../../src/proxy-protocol/crc32c.ts';
import { readHeader } from '../../../src/proxy-protocol/read.ts';
import type { HeaderRead } from '../../../src/proxy-protocol/read.ts';
import { headerText } from '../../../src/proxy-protocol/write.ts';

const SIGNATURE = '0d0a0d0a000d0a515549540a';
const IPV4 = 'c0000201c6336402' + '1f90' + '01bb';
const IPV4_ENDS = '192.0.2.1:8080 198.51.100.2:443';
const IPV6 = '20010db8000000000000000000000001' + '20010db8000000000000000000000002' + 'ffff' + '0000';
const IPV6_ENDS = '2001:db8::1:65535 2001:db8::2:0';
const MAPPED = '00000000000000000000ffffc0000201' + '00000000000000000000ffffc6336402' + '1f90' + '01bb';
const NOBODY = 'nobody';
const REQUEST = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n';

/** What is read of it, as short text. */
function told(read: HeaderRead): string {
  if (typeof read === 'string') return read;
  if (read.ends === undefined) return NOBODY;
  const { client, server } = read.ends;
  return [client, server].map(({ ip, port }) => `${formatIp(ip)}:${port}`).join(' ');
}

function read(text: string): string {
  return told(readHeader(Buffer.from(text, 'latin1')));
}

/** A block of version 2; its length is that of `rest`, in hex, unless told. */
function block(verbAndFamily: string, rest = '', length = rest.length / 2): string {
  return Buffer.from(`${SIGNATURE}${verbAndFamily}${length.toString(16).padStart(4, '0')}${rest}`, 'hex').toString(
    'latin1',
  );
}

function tlv(type: number, value: string): string {
  return Buffer.from([type, value.length >> 9, (value.length / 2) & 255]).toString('hex') + value;
}

function withChecksum(wrong = 0): string {
  const blank = block('2111', IPV4 + tlv(4, '00') + tlv(3, '00000000'));
  const sum = ((crc32c(Buffer.from(blank, 'latin1')) ^ wrong) >>> 0).toString(16).padStart(8, '0');
  return block('2111', IPV4 + tlv(4, '00') + tlv(3, sum));
}

const GOOD: readonly (readonly [name: string, header: string, told: string])[] = [
  ['TCP4', 'PROXY TCP4 192.0.2.1 198.51.100.2 8080 443\r\n', IPV4_ENDS],
  ['TCP6', 'PROXY TCP6 2001:db8::1 2001:DB8::2 65535 0\r\n', IPV6_ENDS],
  [
    'TCP6 at its longest',
    `PROXY TCP6 ${Array(8).fill('ffff').join(':')} ${Array(8).fill('ffff').join(':')} 65535 65535\r\n`,
    `${Array(8).fill('ffff').join(':')}:65535 ${Array(8).fill('ffff').join(':')}:65535`,
  ],
  ['TCP6 with mapped addresses', 'PROXY TCP6 ::ffff:c000:201 ::ffff:198.51.100.2 8080 443\r\n', IPV4_ENDS],
  ['UNKNOWN', 'PROXY UNKNOWN\r\n', NOBODY],
  ['UNKNOWN with addresses', 'PROXY UNKNOWN 192.0.2.1 198.51.100.2 8080 443\r\n', NOBODY],
  ['UNKNOWN with whatever, of 107 bytes', `PROXY UNKNOWN ${'?'.repeat(91)}\r\n`, NOBODY],
  ['v2 LOCAL', block('2000'), NOBODY],
  ['v2 LOCAL with a block to be ignored', block('20ff', 'ff'.repeat(30)), NOBODY],
  ['v2 TCP over IPv4', block('2111', IPV4), IPV4_ENDS],
  ['v2 TCP over IPv6', block('2121', IPV6), IPV6_ENDS],
  ['v2 with mapped addresses', block('2121', MAPPED), IPV4_ENDS],
  ['v2 UDP', block('2112', IPV4), NOBODY],
  ['v2 Unix', block('2131', '00'.repeat(216)), NOBODY],
  ['v2 unspecified family', block('2100', 'ff'.repeat(7)), NOBODY],
  ['v2 unspecified transport', block('2110', IPV4), NOBODY],
  [
    'v2 with TLVs of all kinds',
    block('2111', IPV4 + tlv(1, '6832') + tlv(4, '') + tlv(0xea, '01'.repeat(300))),
    IPV4_ENDS,
  ],
  ['v2 with a right checksum', withChecksum(), IPV4_ENDS],
  ['v2 of 4096 bytes', block('2111', IPV4 + tlv(4, '00'.repeat(4096 - 16 - 12 - 3))), IPV4_ENDS],
];

const BAD: readonly (readonly [name: string, header: string])[] = [
  ['no header at all', REQUEST],
  ['a TLS handshake', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03'],
  ['lower case', 'proxy TCP4 192.0.2.1 198.51.100.2 8080 443\r\n'],
  ['no family', 'PROXY \r\n'],
  ['an unknown family', 'PROXY TCP5 192.0.2.1 198.51.100.2 8080 443\r\n'],
  ['UDP4', 'PROXY UDP4 192.0.2.1 198.51.100.2 8080 443\r\n'],
  ['an address of the other family', 'PROXY TCP4 192.0.2.1 ::1 8080 443\r\n'],
  ['addresses of the other family', 'PROXY TCP6 192.0.2.1 198.51.100.2 8080 443\r\n'],
  ['a leading zero in an address', 'PROXY TCP4 192.0.02.1 198.51.100.2 8080 443\r\n'],
  ['an address that is none', 'PROXY TCP4 192.0.2.256 198.51.100.2 8080 443\r\n'],
  ['a zone', 'PROXY TCP6 fe80::1%eth0 fe80::2 8080 443\r\n'],
  ['a name', 'PROXY TCP4 localhost localhost 8080 443\r\n'],
  ['a leading zero in a port', 'PROXY TCP4 192.0.2.1 198.51.100.2 08080 443\r\n'],
  ['a port too large', 'PROXY TCP4 192.0.2.1 198.51.100.2 8080 65536\r\n'],
  ['a port with a sign', 'PROXY TCP4 192.0.2.1 198.51.100.2 +8080 443\r\n'],
  ['a port missing', 'PROXY TCP4 192.0.2.1 198.51.100.2 8080\r\n'],
  ['one field too many', 'PROXY TCP4 192.0.2.1 198.51.100.2 8080 443 1\r\n'],
  ['two spaces', 'PROXY  TCP4 192.0.2.1 198.51.100.2 8080 443\r\n'],
  ['a space at the end', 'PROXY TCP4 192.0.2.1 198.51.100.2 8080 443 \r\n'],
  ['a bare LF', `PROXY TCP4 192.0.2.1 198.51.100.2 8080 443\n${REQUEST}`],
  ['a bare CR', `PROXY TCP4 192.0.2.1 198.51.100.2 8080 443\r${REQUEST}`],
  ['a NUL', 'PROXY TCP4 192.0.2.1\0 198.51.100.2 8080 443\r\n'],
  ['108 bytes', `PROXY UNKNOWN ${'?'.repeat(92)}\r\n`],
  ['UNKNOWN and more letters', 'PROXY UNKNOWNS\r\n'],
  ['v2 of another version', block('1111', IPV4)],
  ['v2 of an unknown command', block('2211', IPV4)],
  ['v2 of an unknown family', block('2141', IPV4)],
  ['v2 of an unknown transport', block('2113', IPV4)],
  ['v2 shorter than its addresses', block('2121', IPV4)],
  ['v2 of Unix, too short', block('2131', '00'.repeat(215))],
  ['v2 with a TLV that is cut off in its length', block('2111', `${IPV4}0400`)],
  ['v2 with a TLV longer than the block', block('2111', `${IPV4}040002ff`)],
  ['v2 with a wrong checksum', withChecksum(1)],
  ['v2 with a checksum of three bytes', block('2111', IPV4 + tlv(3, '000000'))],
  ['v2 with two checksums', block('2111', IPV4 + tlv(3, '00000000') + tlv(3, '00000000'))],
  ['v2 of more than 4096 bytes', block('2111', IPV4, 4081)],
];

describe('T44: a header that is well-formed', () => {
  test.each(GOOD)('%s', (_name, header, expected) => {
    expect(read(header)).toBe(expected);
    for (const rest of [REQUEST, '\r\n', 'PROXY ', '\0']) {
      expect(read(header + rest)).toBe(expected);
      expect(readHeader(Buffer.from(header + rest, 'latin1'))).toMatchObject({ length: header.length });
    }
    for (let cut = 0; cut < header.length; cut++) expect(read(header.slice(0, cut))).toBe('partial');
  });
});

describe('T44: a header that is not', () => {
  test.each(BAD)('%s', (_name, header) => {
    expect(read(header)).toBe('malformed');
    let before = 'partial';
    for (let cut = 0; cut <= header.length; cut++) {
      const now = read(header.slice(0, cut));
      expect(now === before || now === 'malformed', `${cut} bytes: ${now}`).toBe(true);
      before = now;
    }
  });
});

test('whatever comes, nothing is thrown, and what is refused or read stays so with more bytes', () => {
  const start = fc.constantFrom(
    '',
    'PROXY ',
    'PROXY TCP4 1.2.3.4 ',
    block('2111', '', 0).slice(0, 12),
    block('2111', '', 12),
  );
  const bytes = fc.uint8Array({ maxLength: 200 }).map((some) => Buffer.from(some).toString('latin1'));
  fc.assert(
    fc.property(start, bytes, bytes, (head, tail, more) => {
      const first = read(head + tail);
      if (first !== 'partial') expect(read(head + tail + more)).toBe(first);
    }),
    { numRuns: 3_000 },
  );
});

const WORD = fc.nat(0xffffffff);
const END = fc.record({
  ip: fc.oneof(fc.tuple(WORD), fc.tuple(WORD, WORD, WORD, WORD)).map(ipOfWords),
  port: fc.nat(65_535),
});
const ENDS: fc.Arbitrary<Ends> = fc.record({ client: END, server: END });

test.each(['v1', 'v2'] as const)('%s: what is written reads back, also of two families', (version) => {
  fc.assert(
    fc.property(ENDS, (ends) => {
      const text = headerText(version, ends);
      expect(readHeader(Buffer.from(text, 'latin1'))).toEqual({ length: text.length, ends });
    }),
  );
});

test('what is written is what HAProxy writes', () => {
  const address = (...words: number[]) => ({ ip: ipOfWords(words), port: 8080 });
  const ends = { client: address(0xc0000201), server: { ...address(0xc6336402), port: 443 } };
  expect(headerText('v1', ends)).toBe('PROXY TCP4 192.0.2.1 198.51.100.2 8080 443\r\n');
  expect(headerText('v2', ends)).toBe(block('2111', IPV4));
  const mixed = { ...ends, server: address(0x20010db8, 0, 0, 2) };
  expect(headerText('v1', mixed)).toBe('PROXY TCP6 ::ffff:c000:201 2001:db8::2 8080 8080\r\n');
  expect(headerText('v1', undefined)).toBe('PROXY UNKNOWN\r\n');
  expect(headerText('v2', undefined)).toBe(block('2000'));
});

test('RFC 3720 appendix B.4: CRC-32C', () => {
  expect(crc32c(Buffer.alloc(32))).toBe(0x8a9136aa);
  expect(crc32c(Buffer.alloc(32, 0xff))).toBe(0x62a8ab43);
  expect(crc32c(Buffer.from('123456789'))).toBe(0xe3069283);
});
