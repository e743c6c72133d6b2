/** The only message of the gRPC benchmark, the same there and back, so that neither end need parse. */

export const TEXT = 'm'.repeat(100);
const PREFIX = Buffer.alloc(5);
PREFIX.writeUInt32BE(TEXT.length, 1);

/** Not compressed, its length, its bytes. */
export const MESSAGE = Buffer.concat([PREFIX, Buffer.from(TEXT)]);
