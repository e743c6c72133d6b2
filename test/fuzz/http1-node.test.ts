/** node:http as a differential oracle: what we accept and forward, it must read as we did, to the very end of the message. */
import { once } from 'node:events';
import http from 'node:http';
import net from 'node:net';
import type { AddressInfo } from 'node:net';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { CHUNK_END, chunkHeader, lastChunk } from '../../src/http1/chunks.ts';
import { DEFAULT_LIMITS } from '../../src/http1/limits.ts';
import { RequestParser } from '../../src/http1/request-parser.ts';
import { requestText } from '../../src/http1/serialize.ts';
import { mutated, REQUEST } from './http1-generate.ts';

interface Message {
  method: string;
  target: string;
  /** `name: value` lines in order. */
  fields: string[];
  body: string;
  trailers: string[];
}

interface Accepted extends Message {
  /** The bytes that came in. */
  raw: string;
  /** The bytes that go to a backend. */
  forwarded: string;
  /** The connection could carry another request behind this one as it came in. */
  persistent: boolean;
}

const SENTINEL = 'GET /sentinel HTTP/1.1\r\nHost: s\r\nConnection: close\r\n\r\n';

const server = http.createServer({ insecureHTTPParser: false, maxHeaderSize: 65_536, keepAlive: true });
let messages: Message[] = [];
let refused = false;

function pairs(raw: readonly string[]): string[] {
  return Array.from({ length: raw.length / 2 }, (_, i) => `${raw[2 * i]}: ${raw[2 * i + 1]}`);
}

function serve(request: http.IncomingMessage, response: http.ServerResponse): void {
  const parts: Buffer[] = [];
  request.on('data', (part: Buffer) => parts.push(part));
  request.on('end', () => {
    messages.push({
      method: request.method ?? '',
      target: request.url ?? '',
      fields: pairs(request.rawHeaders),
      body: Buffer.concat(parts).toString('latin1'),
      trailers: pairs(request.rawTrailers),
    });
    response.end();
  });
}

beforeAll(async () => {
  server.on('request', serve);
  server.on('checkContinue', serve);
  server.on('checkExpectation', serve);
  server.on('clientError', (_error, socket) => {
    refused = true;
    socket.destroy();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
});

afterAll(() => {
  server.closeAllConnections();
  server.close();
});

/** What node:http reads from these bytes and the sentinel behind them. */
async function readByNode(wire: string): Promise<{ messages: Message[]; refused: boolean }> {
  messages = [];
  refused = false;
  const socket = net.connect((server.address() as AddressInfo).port, '127.0.0.1');
  socket.on('error', () => socket.destroy());
  socket.resume();
  socket.write(wire + SENTINEL, 'latin1');
  await once(socket, 'close');
  return { messages, refused };
}

function items(value: string): string[] {
  return value.split(',').map((item) => item.replace(/^[ \t]+|[ \t]+$/g, '').toLowerCase());
}

/** Which lines a backend must see: written down a second time, in the plainest way. */
function expectedFields(raw: string): string[] {
  const head = raw.slice(0, raw.indexOf('\r\n\r\n'));
  const [start = '', ...lines] = head.split('\r\n');
  const fields = lines.map((line): [string, string] => {
    const colon = line.indexOf(':');
    return [line.slice(0, colon), line.slice(colon + 1).replace(/^[ \t]+|[ \t]+$/g, '')];
  });
  const is = (name: string, other: string): boolean => name.toLowerCase() === other;
  const listed = fields.filter(([name]) => is(name, 'connection')).flatMap(([, value]) => items(value));
  const dropped = [
    ...['connection', 'keep-alive', 'proxy-connection', 'te', 'upgrade', 'transfer-encoding', 'http2-settings'],
    ...['x-forwarded-for', 'x-forwarded-proto', 'x-forwarded-host', 'x-forwarded-port'],
    ...['x-real-ip', 'x-request-id', 'forwarded', ...listed],
  ];
  const kept = fields.filter(([name, value]) => {
    const lower = name.toLowerCase();
    if (lower === 'content_length' || lower === 'transfer_encoding') return false;
    if (lower === 'expect' && start.endsWith('1.0')) return false;
    if (lower.includes('_') && dropped.slice(7, 14).includes(lower.replaceAll('_', '-'))) return false;
    return !dropped.includes(lower) || (lower === 'te' && value === '');
  });
  const result = kept.filter(([name]) => !is(name, 'te')).map(([name, value]) => `${name}: ${value}`);
  if (!fields.some(([name]) => is(name, 'host'))) result.unshift('Host: ');
  if (fields.some(([name]) => is(name, 'transfer-encoding'))) result.push('Transfer-Encoding: chunked');
  if (fields.some(([name, value]) => is(name, 'te') && items(value).includes('trailers'))) result.push('TE: trailers');
  return result;
}

/** The complete requests that we accept before we refuse or wait. */
function accept(wire: string): Accepted[] {
  const accepted: Accepted[] = [];
  let message: Accepted | undefined;
  const parser = new RequestParser(
    {
      onHead: (head) => {
        message = {
          method: head.method,
          target: head.target,
          fields: [],
          body: '',
          trailers: [],
          raw: '',
          forwarded: requestText(head, { extra: '' }),
          persistent: head.keepAlive && head.upgrade === '' && head.minor === 1 && !head.rewritten,
        };
      },
      onBody: (buffer, start, end) => {
        if (message === undefined) throw new Error('a body before its head');
        const text = buffer.toString('latin1', start, end);
        message.body += text;
        message.forwarded += parser.head.chunked ? chunkHeader(text.length) + text + CHUNK_END : text;
      },
      onTrailers: (lines) => message?.trailers.push(...lines.slice(0, -2).split('\r\n')),
      onEnd: () => {
        if (message === undefined) throw new Error('an end before its head');
        if (parser.head.chunked) message.forwarded += lastChunk(message.trailers.map((line) => `${line}\r\n`).join(''));
        accepted.push(message);
      },
      onError: () => undefined,
    },
    DEFAULT_LIMITS,
  );
  const buffer = Buffer.from(wire, 'latin1');
  for (let at = 0; at < buffer.length;) {
    const stop = parser.execute(buffer, at, buffer.length);
    const last = accepted.at(-1);
    if (!parser.done || last === undefined) break;
    // Empty lines in front are not part of the message.
    last.raw = wire.slice(at, stop).replace(/^(?:\r\n)+/, '');
    last.fields = expectedFields(last.raw);
    parser.reset();
    at = stop;
  }
  return accepted.filter((one) => http.METHODS.includes(one.method));
}

function plain(message: Message): Message {
  const { method, target, fields, body, trailers } = message;
  const trimmed = trailers.map((line) => line.replace(/:[ \t]*(.*?)[ \t]*$/, ': $1'));
  return { method, target, fields, body, trailers: trimmed };
}

/** node:http refuses framing fields among the trailers, which we drop, and HTAB around framing values, which is OWS. */
function refusedByNodeAlone(raw: string): boolean {
  if (/^(?:transfer-encoding|content-length):[^\r]*\t/im.test(raw)) return true;
  return /content-length:|transfer-encoding:/i.test(raw.slice(raw.indexOf('\r\n\r\n')));
}

const WIRES = mutated(
  fc.array(REQUEST, { minLength: 1, maxLength: 3 }).map((wires) => wires.join('')),
  2,
);

test('what we forward, node:http reads as we did', { timeout: 60_000 }, async () => {
  let compared = 0;
  await fc.assert(
    fc.asyncProperty(WIRES, async (wire) => {
      const ours = accept(wire);
      if (ours.length === 0) return;
      const theirs = await readByNode(ours.map((message) => message.forwarded).join(''));
      expect(theirs.refused).toBe(false);
      expect(theirs.messages.pop()?.target).toBe('/sentinel');
      expect(theirs.messages.map(plain)).toEqual(ours.map(plain));
      compared += ours.length;
    }),
    { numRuns: 800 },
  );
  expect(compared).toBeGreaterThan(400);
});

test('what we accept, node:http reads as we did', { timeout: 60_000 }, async () => {
  let compared = 0;
  await fc.assert(
    fc.asyncProperty(WIRES, async (wire) => {
      const ours = accept(wire).filter((message) => message.persistent && !refusedByNodeAlone(message.raw));
      if (ours.length === 0) return;
      const theirs = await readByNode(ours.map((message) => message.raw).join(''));
      expect(theirs.refused).toBe(false);
      expect(theirs.messages.pop()?.target).toBe('/sentinel');
      const brief = ({ method, target, body }: Message): string => `${method} ${target} ${body}`;
      expect(theirs.messages.map(brief)).toEqual(ours.map(brief));
      compared += ours.length;
    }),
    { numRuns: 800 },
  );
  expect(compared).toBeGreaterThan(400);
});
