/** Version 2: a binary block (proxy-protocol.txt section 2.2). */
import { inIpv4 } from '../model/ends.ts';
import type { Ends } from '../model/ends.ts';
import { ipOfWords, wordsOfIpv6 } from '../model/ip.ts';
import { crc32c } from './crc32c.ts';
import type { HeaderRead } from './read.ts';

export const SIGNATURE = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1');
/** Signature, version and command, family and transport, length of what follows. */
const FIXED = 16;
/** Nothing that is known of sends as much; nginx has the same limit. */
const MAX_BLOCK = 4096;

const VERSION_2 = 0x2;
const LOCAL = 0x0;
const PROXY = 0x1;
const INET = 0x1;
const INET6 = 0x2;
const STREAM = 0x1;
const DATAGRAM = 0x2;
/** Bytes of both addresses and ports by family: unspecified, IPv4, IPv6, Unix. */
const ADDRESS_BYTES = [0, 12, 36, 216];

const TLV_HEAD = 3;
const TLV_CRC32C = 0x03;

export function readBlock(bytes: Buffer): HeaderRead {
  if (bytes.length < FIXED) return 'partial';
  const version = bytes.readUInt8(12) >> 4;
  const command = bytes.readUInt8(12) & 0xf;
  const family = bytes.readUInt8(13) >> 4;
  const transport = bytes.readUInt8(13) & 0xf;
  const length = FIXED + bytes.readUInt16BE(14);
  if (version !== VERSION_2 || command > PROXY || length > MAX_BLOCK) return 'malformed';
  if (bytes.length < length) return 'partial';
  // Of a connection of the sender's own everything else is to be ignored.
  if (command === LOCAL) return { length, ends: undefined };
  const addressBytes = ADDRESS_BYTES[family];
  if (addressBytes === undefined || transport > DATAGRAM) return 'malformed';
  // Where the addresses end is not known, so neither where the TLVs begin.
  if (addressBytes === 0) return { length, ends: undefined };
  const block = bytes.subarray(0, length);
  if (length < FIXED + addressBytes || !tlvsHold(block, FIXED + addressBytes)) return 'malformed';
  return { length, ends: transport === STREAM ? endsIn(block, family) : undefined };
}

function endsIn(block: Buffer, family: number): Ends | undefined {
  if (family !== INET && family !== INET6) return undefined;
  const words = family === INET ? 1 : 4;
  const ports = FIXED + 8 * words;
  const end = (which: 0 | 1) => ({
    ip: ipOfWords(Array.from({ length: words }, (_, i) => block.readUInt32BE(FIXED + 4 * (which * words + i)))),
    port: block.readUInt16BE(ports + 2 * which),
  });
  return { client: end(0), server: end(1) };
}

/** They are skipped, but for a checksum, which has to be right. */
function tlvsHold(block: Buffer, start: number): boolean {
  let checksum = -1;
  for (let at = start; at < block.length;) {
    const value = at + TLV_HEAD;
    if (value > block.length) return false;
    const end = value + block.readUInt16BE(at + 1);
    if (end > block.length) return false;
    if (block[at] === TLV_CRC32C) {
      if (checksum >= 0 || end - value !== 4) return false;
      checksum = value;
    }
    at = end;
  }
  return checksum < 0 || checksumHolds(block, checksum);
}

/** It is that of the whole block with zeros in its own place. */
function checksumHolds(block: Buffer, at: number): boolean {
  const blank = Buffer.from(block).fill(0, at, at + 4);
  return crc32c(blank) === block.readUInt32BE(at);
}

/** `ends` unknown: the connection is our own. */
export function blockBytes(ends: Ends | undefined): Buffer {
  if (ends === undefined) return Buffer.concat([SIGNATURE, Buffer.from([(VERSION_2 << 4) | LOCAL, 0, 0, 0])]);
  const { client, server } = ends;
  const ipv4 = inIpv4(ends);
  const family = ipv4 ? INET : INET6;
  const words = [client, server].flatMap(({ ip }) => (ipv4 ? ip.words : wordsOfIpv6(ip)));
  const fields = Buffer.alloc(4 + 4 * words.length + 4);
  fields.writeUInt8((VERSION_2 << 4) | PROXY, 0);
  fields.writeUInt8((family << 4) | STREAM, 1);
  fields.writeUInt16BE(fields.length - 4, 2);
  for (const [i, word] of words.entries()) fields.writeUInt32BE(word, 4 + 4 * i);
  fields.writeUInt16BE(client.port, fields.length - 4);
  fields.writeUInt16BE(server.port, fields.length - 2);
  return Buffer.concat([SIGNATURE, fields]);
}
