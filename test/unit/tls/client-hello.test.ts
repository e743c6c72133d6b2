/** The host that a ClientHello asks for, however its bytes come, and whatever else comes instead. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ClientHelloReader } from '../../../src/tls/client-hello.ts';
import { clientHello, recordsOf, serverName, vector } from '../../support/client-hello.ts';

/** What is read of `bytes`; undefined = more is waited for. */
function read(...pieces: readonly Buffer[]): string | undefined {
  const reader = new ClientHelloReader();
  const done = pieces.map((piece) => reader.push(piece));
  return done.at(-1) === true ? reader.serverName : undefined;
}

const OTHER: readonly [number, Buffer] = [0x002b, Buffer.from([2, 3, 4])];
const HELLO = clientHello([OTHER, serverName('Shop.example'), [0x0015, Buffer.alloc(400)]]);

test('the name is read as it is written, wherever it stands among the extensions', () => {
  expect(read(recordsOf(HELLO))).toBe('Shop.example');
  expect(read(recordsOf(clientHello([serverName('a.test'), OTHER])))).toBe('a.test');
});

test('at every split, in one record or many, the same name is read, with the last byte of the hello and not before', () => {
  const wires = [1, 2, 7, 300].map((size) => recordsOf(HELLO, size));
  for (const wire of [recordsOf(HELLO), ...wires]) {
    for (let at = 0; at < wire.length; at++) {
      expect(read(wire.subarray(0, at))).toBeUndefined();
      expect(read(wire.subarray(0, at), wire.subarray(at))).toBe('Shop.example');
    }
    expect(read(...[...wire].map((byte) => Buffer.from([byte])))).toBe('Shop.example');
  }
});

test('what follows the hello changes nothing', () => {
  expect(read(Buffer.concat([recordsOf(HELLO), Buffer.from('early data')]))).toBe('Shop.example');
  expect(read(recordsOf(Buffer.concat([HELLO, Buffer.from([20, 0, 0, 0])])))).toBe('Shop.example');
});

test.each<[string, Buffer]>([
  ['no extensions', recordsOf(clientHello())],
  ['extensions without a name', recordsOf(clientHello([OTHER]))],
  ['a name that is none of a host', recordsOf(clientHello([[0, vector(2, Buffer.from([1]), vector(2, 'x'))]]))],
  ['an empty list of names', recordsOf(clientHello([[0, vector(2)]]))],
  ['a name longer than its list', recordsOf(clientHello([[0, Buffer.from([0, 5, 0, 0, 9, 97, 98])]]))],
  ['a list longer than its extension', recordsOf(clientHello([[0, Buffer.from([0, 9, 0, 0, 2, 97, 98])]]))],
  ['extensions longer than the hello', recordsOf(Buffer.concat([Buffer.from([1, 0, 0, 80]), HELLO.subarray(4, 84)]))],
  ['an empty hello', recordsOf(Buffer.from([1, 0, 0, 0]))],
  ['another handshake message', recordsOf(Buffer.from([2, 0, 0, 4]))],
  ['a hello of 16 KiB', recordsOf(clientHello([[0x0015, Buffer.alloc(16_300)], serverName('a.test')]))],
  ['an alert', Buffer.from([21, 3, 1, 0, 2, 1, 0])],
  ['an empty record', Buffer.from([22, 3, 1, 0, 0])],
  ['a record that is too long', Buffer.from([22, 3, 1, 0x40, 0x01])],
  ['plain HTTP', Buffer.from('GET / HTTP/1.1\r\n\r\n')],
  ['a hello of SSL 2', Buffer.from([0x80, 0x2e, 1, 3, 1])],
])('%s: there is no name, and nothing more is waited for', (_, wire) => {
  expect(read(wire)).toBe('');
});

test('an alert behind a part of the hello: nothing more is waited for', () => {
  expect(read(recordsOf(HELLO.subarray(0, 40)), Buffer.from([21]))).toBe('');
});

test('whatever the bytes are, it ends the same at every split, and keeps no more than a hello may have', () => {
  const hellos = fc.tuple(fc.constant(recordsOf(HELLO)), fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 4 }));
  const mutated = hellos.map(([wire, changes]) => {
    const changed = Buffer.from(wire);
    for (const [at, byte] of changes) changed[at % changed.length] = byte;
    return changed;
  });
  const random = fc.uint8Array({ maxLength: 100 }).map((bytes) => Buffer.from(bytes));
  fc.assert(
    fc.property(fc.oneof(mutated, random), fc.array(fc.nat(), { maxLength: 6 }), (wire, places) => {
      const cuts = [0, ...places.map((place) => place % (wire.length + 1)).sort((a, b) => a - b), wire.length];
      const pieces = cuts.slice(1).map((cut, i) => wire.subarray(cuts[i], cut));
      expect(read(...pieces)).toBe(read(wire));
    }),
    { numRuns: 2000 },
  );
});
