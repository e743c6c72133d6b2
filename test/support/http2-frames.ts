/** Frames of HTTP/2 written and read in the plainest way, apart from the code that is tested. */

export type Fields = readonly (readonly [name: string, value: string])[];

export const T = {
  DATA: 0,
  HEADERS: 1,
  PRIORITY: 2,
  RST_STREAM: 3,
  SETTINGS: 4,
  PUSH_PROMISE: 5,
  PING: 6,
  GOAWAY: 7,
  WINDOW_UPDATE: 8,
  CONTINUATION: 9,
} as const;

const TYPE_NAMES = Object.keys(T);
/** RFC 9113, 7. */
const CODE_NAMES = [
  'NO_ERROR',
  'PROTOCOL_ERROR',
  'INTERNAL_ERROR',
  'FLOW_CONTROL_ERROR',
  'SETTINGS_TIMEOUT',
  'STREAM_CLOSED',
  'FRAME_SIZE_ERROR',
  'REFUSED_STREAM',
  'CANCEL',
  'COMPRESSION_ERROR',
  'CONNECT_ERROR',
  'ENHANCE_YOUR_CALM',
  'INADEQUATE_SECURITY',
  'HTTP_1_1_REQUIRED',
];

export function bytes(...values: number[]): Buffer {
  return Buffer.from(values);
}

export function u32(value: number): Buffer {
  return bytes(value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255);
}

export function frame(type: number, flags: number, id: number, payload: Buffer | string = ''): Buffer {
  const body = Buffer.isBuffer(payload) ? payload : Buffer.from(payload, 'latin1');
  return Buffer.concat([u32((body.length << 8) | type), bytes(flags), u32(id), body]);
}

/** HPACK integer with a prefix of `bits` (RFC 7541, 5.1). */
export function integer(value: number, bits: number, first = 0): Buffer {
  const mask = 2 ** bits - 1;
  if (value < mask) return bytes(first | value);
  const rest: number[] = [];
  for (let left = value - mask; ; left = Math.floor(left / 128)) {
    if (left < 128) return bytes(first | mask, ...rest, left);
    rest.push((left % 128) | 128);
  }
}

export function string(text: string): Buffer {
  return Buffer.concat([integer(text.length, 7), Buffer.from(text, 'latin1')]);
}

/** Literals without indexing and without Huffman. */
export function encode(fields: Fields): Buffer {
  return Buffer.concat(fields.map(([name, value]) => Buffer.concat([bytes(0), string(name), string(value)])));
}

export interface HeadersOptions {
  /** END_STREAM; default true. */
  readonly end?: boolean;
  /** Padding bytes; undefined = no PADDED flag. */
  readonly pad?: number;
  /** The stream depended on. */
  readonly dependency?: number;
}

/** HEADERS whose field block is cut at `cuts` and goes on in CONTINUATIONs. */
export function headers(id: number, fields: Fields | Buffer, options: HeadersOptions = {}, ...cuts: number[]): Buffer {
  const block = Buffer.isBuffer(fields) ? fields : encode(fields);
  const { end = true, pad, dependency } = options;
  const bounds = [0, ...cuts, block.length];
  const parts = bounds.slice(1).map((stop, i) => block.subarray(bounds[i], stop));
  const first = Buffer.concat([
    pad === undefined ? bytes() : bytes(pad),
    dependency === undefined ? bytes() : Buffer.concat([u32(dependency), bytes(15)]),
    parts[0] ?? bytes(),
    Buffer.alloc(pad ?? 0),
  ]);
  const flags = (end ? 1 : 0) | (pad === undefined ? 0 : 8) | (dependency === undefined ? 0 : 32);
  return Buffer.concat(
    parts.map((part, i) => {
      const last = i === parts.length - 1 ? 4 : 0;
      return i === 0 ? frame(T.HEADERS, flags | last, id, first) : frame(T.CONTINUATION, last, id, part);
    }),
  );
}

export function data(id: number, text: Buffer | string, end = true): Buffer {
  return frame(T.DATA, end ? 1 : 0, id, text);
}

export function paddedData(id: number, text: string, pad: number, end = true): Buffer {
  return frame(T.DATA, end ? 9 : 8, id, Buffer.concat([bytes(pad), Buffer.from(text, 'latin1'), Buffer.alloc(pad)]));
}

export function settings(...pairs: (readonly [number, number])[]): Buffer {
  return frame(T.SETTINGS, 0, 0, Buffer.concat(pairs.map(([id, value]) => Buffer.concat([bytes(0, id), u32(value)]))));
}

export const SETTINGS_ACK = frame(T.SETTINGS, 1, 0);
export const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1');

export function ping(ack = false): Buffer {
  return frame(T.PING, ack ? 1 : 0, 0, 'holdfast');
}

export function goaway(lastId: number, code = 0, debug = ''): Buffer {
  return frame(T.GOAWAY, 0, 0, Buffer.concat([u32(lastId), u32(code), Buffer.from(debug)]));
}

export function windowUpdate(id: number, increment: number): Buffer {
  return frame(T.WINDOW_UPDATE, 0, id, u32(increment));
}

export function reset(id: number, code = 8): Buffer {
  return frame(T.RST_STREAM, 0, id, u32(code));
}

export interface ReadFrame {
  readonly type: number;
  readonly flags: number;
  readonly id: number;
  readonly payload: Buffer;
}

/** The frames of whole bytes; fails when something is left over. */
export function readFrames(wire: Buffer): ReadFrame[] {
  const frames: ReadFrame[] = [];
  for (let at = 0; at < wire.length;) {
    const length = wire.readUIntBE(at, 3);
    if (at + 9 + length > wire.length) throw new Error('a frame is cut off');
    const payload = Buffer.from(wire.subarray(at + 9, at + 9 + length));
    frames.push({ type: wire[at + 3] ?? 0, flags: wire[at + 4] ?? 0, id: wire.readUInt32BE(at + 5), payload });
    at += 9 + length;
  }
  return frames;
}

/** One line about a frame, as the tables of cases expect it. */
export function describeFrame({ type, flags, id, payload }: ReadFrame): string {
  const name = TYPE_NAMES[type] ?? `type ${type}`;
  switch (type) {
    case T.RST_STREAM:
      return `RST ${id} ${CODE_NAMES[payload.readUInt32BE()] ?? 'unknown'}`;
    case T.GOAWAY:
      return `GOAWAY ${payload.readUInt32BE()} ${CODE_NAMES[payload.readUInt32BE(4)] ?? 'unknown'} ${payload.toString('latin1', 8)}`.trimEnd();
    case T.SETTINGS:
    case T.PING:
      return (flags & 1) === 1 ? `${name} ack` : name;
    case T.WINDOW_UPDATE:
      return `WINDOW ${id} +${payload.readUInt32BE()}`;
    default:
      return `${name} ${id}${(flags & 1) === 1 ? ' end' : ''}`;
  }
}
