/** A WebSocket echo server, as little of RFC 6455 as the sample backends need: every data frame comes back as it was sent. */
import { createHash } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';

const MAX_PAYLOAD = 1024 * 1024;
const OPCODE_CLOSE = 8;
const OPCODE_PING = 9;
const OPCODE_PONG = 10;

/** RFC 6455 section 4.2.2: the answer to `Sec-WebSocket-Key`. */
function acceptKey(key: string): string {
  return createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
}

/** Answers the handshake with `headers` added, then echoes until either side closes. */
export function echoWebSocket(
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
  headers: readonly string[],
): void {
  const key = request.headers['sec-websocket-key'];
  socket.on('error', () => socket.destroy());
  if (key === undefined || request.headers['sec-websocket-version'] !== '13') {
    socket.end(
      'HTTP/1.1 426 Upgrade Required\r\nSec-WebSocket-Version: 13\r\nConnection: close\r\nContent-Length: 0\r\n\r\n',
    );
    return;
  }
  const lines = ['Upgrade: websocket', 'Connection: Upgrade', `Sec-WebSocket-Accept: ${acceptKey(key)}`, ...headers];
  socket.write(`HTTP/1.1 101 Switching Protocols\r\n${lines.join('\r\n')}\r\n\r\n`);

  let pending: Buffer = head;
  const consume = (): void => {
    for (let frame = readFrame(pending); frame !== undefined; frame = readFrame(pending)) {
      if (frame === 'invalid') {
        socket.end(frameBytes(0x80 | OPCODE_CLOSE, Buffer.from([0x03, 0xea]))); // 1002, protocol error
        return;
      }
      pending = pending.subarray(frame.size);
      const opcode = frame.first & 0x0f;
      if (opcode === OPCODE_CLOSE) {
        socket.end(frameBytes(frame.first, frame.payload));
        return;
      }
      if (opcode === OPCODE_PING) socket.write(frameBytes(0x80 | OPCODE_PONG, frame.payload));
      else if (opcode !== OPCODE_PONG) socket.write(frameBytes(frame.first, frame.payload));
    }
  };
  socket.on('data', (chunk: Buffer) => {
    pending = Buffer.concat([pending, chunk]);
    consume();
  });
  socket.on('end', () => socket.end());
  consume();
}

interface Frame {
  /** FIN bit, reserved bits and opcode. */
  readonly first: number;
  /** Unmasked. */
  readonly payload: Buffer;
  /** Bytes taken from the buffer. */
  readonly size: number;
}

/** RFC 6455 section 5.2; `undefined` = not all there yet. Clients must mask (section 5.1). */
function readFrame(buffer: Buffer): Frame | 'invalid' | undefined {
  const [first, second] = buffer;
  if (first === undefined || second === undefined) return undefined;
  if ((second & 0x80) === 0 || (first & 0x70) !== 0) return 'invalid';
  const short = second & 0x7f;
  const extended = short === 126 ? 2 : short === 127 ? 8 : 0;
  if (buffer.length < 2 + extended + 4) return undefined;
  const length = short === 126 ? buffer.readUInt16BE(2) : short === 127 ? Number(buffer.readBigUInt64BE(2)) : short;
  if (length > MAX_PAYLOAD) return 'invalid';
  const start = 2 + extended + 4;
  if (buffer.length < start + length) return undefined;
  const mask = buffer.subarray(start - 4, start);
  const payload = Buffer.from(buffer.subarray(start, start + length));
  for (let i = 0; i < length; i++) payload[i] = (payload[i] ?? 0) ^ (mask[i & 3] ?? 0);
  return { first, payload, size: start + length };
}

function frameBytes(first: number, payload: Buffer): Buffer {
  const { length } = payload;
  if (length < 126) return Buffer.concat([Buffer.from([first, length]), payload]);
  const header = Buffer.alloc(length < 65536 ? 4 : 10);
  header[0] = first;
  header[1] = length < 65536 ? 126 : 127;
  if (length < 65536) header.writeUInt16BE(length, 2);
  else header.writeBigUInt64BE(BigInt(length), 2);
  return Buffer.concat([header, payload]);
}
