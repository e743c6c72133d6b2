/** Writes ClientHellos, field by field. */

export type Extension = readonly [type: number, data: Buffer];

/** Behind its length in so many bytes. */
export function vector(lengthBytes: number, ...parts: readonly (Buffer | string)[]): Buffer {
  const content = Buffer.concat(parts.map((part) => Buffer.from(part)));
  const length = Buffer.alloc(lengthBytes);
  length.writeUIntBE(content.length, 0, lengthBytes);
  return Buffer.concat([length, content]);
}

export function serverName(name: string): Extension {
  return [0, vector(2, Buffer.from([0]), vector(2, name))];
}

/** The handshake message; undefined = it ends before the extensions. */
export function clientHello(extensions?: readonly Extension[]): Buffer {
  const written = extensions?.map(([type, data]) =>
    Buffer.concat([Buffer.from([type >> 8, type & 255]), vector(2, data)]),
  );
  const body = Buffer.concat([
    Buffer.from([3, 3]),
    Buffer.alloc(32, 7),
    vector(1, Buffer.alloc(32, 9)),
    vector(2, Buffer.from([0x13, 0x01])),
    vector(1, Buffer.from([0])),
    ...(written === undefined ? [] : [vector(2, ...written)]),
  ]);
  return Buffer.concat([Buffer.from([1]), vector(3, body)]);
}

/** In records of `size` bytes of it. */
export function recordsOf(message: Buffer, size = message.length): Buffer {
  const records: Buffer[] = [];
  for (let at = 0; at < message.length; at += size) {
    records.push(Buffer.from([22, 3, 1]), vector(2, message.subarray(at, at + size)));
  }
  return Buffer.concat(records);
}
