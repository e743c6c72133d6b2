/** Reads from a ClientHello the host that the client asks for (RFC 8446, 4.1.2; RFC 6066, 3), before OpenSSL sees a byte of it. */

/** A ClientHello of today has some 2,000 bytes, in one record; of a longer one the host is not known. */
const MAX_BYTES = 16 * 1024;
/** RFC 8446, 5.1. */
const RECORD_HEAD = 5;
const MAX_RECORD = 2 ** 14;
const HANDSHAKE = 22;
/** RFC 8446, 4: the head of a handshake message. */
const MESSAGE_HEAD = 4;
const CLIENT_HELLO = 1;
/** legacy_version and random. */
const BEFORE_SESSION_ID = 2 + 32;
const SERVER_NAME = 0;
const HOST_NAME = 0;

/** Feed it what a client sends, as it comes, until `push` says that it is enough. */
export class ClientHelloReader {
  /** As the client wrote it; empty = it asks for none, or what it sends is no ClientHello, which OpenSSL will tell it. */
  serverName = '';
  readonly #recordHead = Buffer.alloc(RECORD_HEAD);
  #headSeen = 0;
  /** Bytes left of the current record. */
  #recordLeft = 0;
  #message = Buffer.alloc(0);
  #messageSeen = 0;
  #bytesLeft = MAX_BYTES;
  #done = false;

  /** True = nothing more is needed. */
  push(bytes: Buffer): boolean {
    const usable = Math.min(bytes.length, this.#bytesLeft);
    this.#bytesLeft -= usable;
    for (let at = 0; at < usable && !this.#done;) {
      if (this.#recordLeft === 0) {
        this.#recordHead[this.#headSeen++] = bytes[at++] ?? 0;
        this.#readRecordHead();
        continue;
      }
      const end = Math.min(usable, at + this.#recordLeft);
      this.#add(bytes.subarray(at, end));
      this.#recordLeft -= end - at;
      at = end;
      this.#readMessage();
    }
    if (this.#bytesLeft === 0) this.#done = true;
    return this.#done;
  }

  /** What cannot become a ClientHello is not waited for. */
  #readRecordHead(): void {
    const head = this.#recordHead;
    if (head[0] !== HANDSHAKE) this.#done = true;
    if (this.#headSeen < RECORD_HEAD) return;
    this.#headSeen = 0;
    this.#recordLeft = head.readUInt16BE(3);
    if (this.#recordLeft === 0 || this.#recordLeft > MAX_RECORD) this.#done = true;
  }

  #add(bytes: Buffer): void {
    const needed = this.#messageSeen + bytes.length;
    if (needed > this.#message.length) {
      const larger = Buffer.alloc(Math.max(needed, 2 * this.#message.length));
      this.#message.copy(larger, 0, 0, this.#messageSeen);
      this.#message = larger;
    }
    bytes.copy(this.#message, this.#messageSeen);
    this.#messageSeen = needed;
  }

  #readMessage(): void {
    const message = this.#message.subarray(0, this.#messageSeen);
    if (message[0] !== CLIENT_HELLO) this.#done = true;
    if (message.length < MESSAGE_HEAD) return;
    const end = MESSAGE_HEAD + message.readUIntBE(1, 3);
    if (end > MAX_BYTES) this.#done = true;
    if (this.#done || message.length < end) return;
    this.#done = true;
    this.serverName = serverNameOf(new Fields(message, MESSAGE_HEAD, end)) ?? '';
  }
}

function serverNameOf(hello: Fields): string | undefined {
  hello.skip(BEFORE_SESSION_ID);
  hello.vector(1);
  // Cipher suites, compression methods.
  hello.vector(2);
  hello.vector(1);
  const extensions = hello.vector(2);
  while (extensions.left > 0) {
    const type = extensions.number(2);
    const data = extensions.vector(2);
    if (type !== SERVER_NAME) continue;
    const names = data.vector(2);
    return names.number(1) === HOST_NAME ? names.vector(2).text() : undefined;
  }
  return undefined;
}

/** Reads one thing after the other; what reaches beyond the end is empty, and so is everything behind it. */
class Fields {
  readonly #bytes: Buffer;
  readonly #end: number;
  #at: number;

  constructor(bytes: Buffer, at: number, end: number) {
    this.#bytes = bytes;
    this.#at = at;
    this.#end = end;
  }

  get left(): number {
    return this.#end - this.#at;
  }

  skip(length: number): void {
    this.#at = Math.min(this.#end, this.#at + length);
  }

  /** Of so many bytes; -1 = there are not so many. */
  number(bytes: number): number {
    const at = this.#at;
    this.skip(bytes);
    return at + bytes > this.#end ? -1 : this.#bytes.readUIntBE(at, bytes);
  }

  /** Behind its length in so many bytes (RFC 8446, 3.4). */
  vector(lengthBytes: number): Fields {
    const length = this.number(lengthBytes);
    const from = this.#at;
    const fits = length >= 0 && length <= this.left;
    this.skip(fits ? length : this.left);
    return new Fields(this.#bytes, fits ? from : this.#at, this.#at);
  }

  text(): string {
    return this.#bytes.toString('latin1', this.#at, this.#end);
  }
}
