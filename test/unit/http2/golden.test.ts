/**
 * Connections of clients that others wrote, as they came over the wire from a server that answers every request: each
 * read in hex, then what we make of them. The bytes are facts of those clients; what we answer is `ANSWER`.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import type { ServerConnection } from '../../../src/http2/server.ts';
import { recordServer } from './record.ts';
import type { Recorded } from './record.ts';

const FOLDER = new URL('../../fixtures/http2/connections/', import.meta.url);
const ANSWER = 'HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nX-Golden: yes\r\n\r\n';

function replay(reads: readonly string[]): string[] {
  const lines: string[] = [];
  const server: Recorded<ServerConnection> = recordServer({
    events: {
      onHead: (stream) => lines.push(...stream.head.text.trimEnd().split('\r\n')),
      onEnd(stream) {
        const trailers = stream.head.target === '/trailers';
        server.connection.respond(stream, ANSWER, false);
        server.connection.send(stream, Buffer.from('hello'), 0, 5, !trailers);
        if (trailers) server.connection.end(stream, 'X-Sum: 1\r\n');
      },
    },
  });
  for (const read of reads) server.read(Buffer.from(read, 'hex'));
  return [...lines, ...server.summary().split(' | ')];
}

test.each(readdirSync(FOLDER))('%s', (name) => {
  const [wire = '', outcome = ''] = readFileSync(new URL(name, FOLDER), 'utf8').split('\n\n');
  const reads = wire.split('\n').filter((line) => !line.startsWith('#'));
  expect(replay(reads).join('\n')).toBe(outcome.trimEnd());
  const bytes = reads.join('').match(/../g) ?? [];
  expect(replay(bytes).join('\n')).toBe(outcome.trimEnd());
});

test('there are at least three', () => {
  expect(readdirSync(FOLDER).length).toBeGreaterThanOrEqual(3);
});
