/** Chromium's DevTools protocol over the two pipes of `--remote-debugging-pipe`: JSON messages, each with a NUL behind it. */
import type { Readable, Writable } from 'node:stream';

const DEADLINE_MS = 20_000;

/** A JSON object, as far as it has been looked at. */
export type Fields = Readonly<Record<string, unknown>>;

interface Message {
  readonly id?: number;
  readonly result?: Fields;
  readonly error?: { readonly message: string };
  readonly method?: string;
  readonly params?: Fields;
  readonly sessionId?: string;
}

interface Waiting {
  readonly fits: (message: Message) => boolean;
  readonly resolve: (message: Message) => void;
  readonly reject: (error: Error) => void;
}

export class DevTools {
  readonly #to: Writable;
  readonly #waiting = new Set<Waiting>();
  #rest = '';
  #id = 0;

  constructor(to: Writable, from: Readable) {
    this.#to = to;
    // Its other end says it, too.
    to.on('error', () => undefined);
    from.setEncoding('utf8').on('data', (text: string) => this.#read(text));
    from.on('close', () => {
      for (const { reject } of this.#waiting) reject(new Error('the browser has ended'));
    });
  }

  /** @param session of a tab; undefined = of the whole browser */
  async ask(method: string, params: Fields = {}, session?: string): Promise<Fields> {
    const id = ++this.#id;
    const answered = this.#next(`the answer to ${method}`, (message) => message.id === id);
    this.#to.write(`${JSON.stringify({ id, method, params, sessionId: session })}\0`);
    const { result = {}, error } = await answered;
    if (error !== undefined) throw new Error(`${method}: ${error.message}`);
    return result;
  }

  /** The parameters of the next event of this kind. To be called before what leads to it. */
  async event(method: string, session: string): Promise<Fields> {
    const { params = {} } = await this.#next(
      method,
      (message) => message.method === method && message.sessionId === session,
    );
    return params;
  }

  async #next(what: string, fits: (message: Message) => boolean): Promise<Message> {
    const { promise, resolve, reject } = Promise.withResolvers<Message>();
    const late = setTimeout(() => reject(new Error(`${what} does not come`)), DEADLINE_MS);
    const waiting: Waiting = { fits, resolve, reject };
    this.#waiting.add(waiting);
    return await promise.finally(() => {
      clearTimeout(late);
      this.#waiting.delete(waiting);
    });
  }

  #read(text: string): void {
    const messages = `${this.#rest}${text}`.split('\0');
    this.#rest = messages.pop() ?? '';
    for (const line of messages) {
      const message = JSON.parse(line) as Message;
      for (const { fits, resolve } of this.#waiting) if (fits(message)) resolve(message);
    }
  }
}
