/** The only frames of the WebSocket benchmark (RFC 6455, section 5.2): one text each way, so that neither end need parse. */

const TEXT = Buffer.alloc(64, 'm');
/** FIN and opcode 1. */
const FIRST = 0x81;
const MASKED = 0x80;
const MASK = Buffer.from([1, 2, 3, 4]);

export const FROM_CLIENT = Buffer.concat([
  Buffer.from([FIRST, MASKED | TEXT.length]),
  MASK,
  TEXT.map((byte, i) => byte ^ MASK.readUInt8(i % MASK.length)),
]);
export const FROM_SERVER = Buffer.concat([Buffer.from([FIRST, TEXT.length]), TEXT]);
