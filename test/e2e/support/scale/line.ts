/** One kept connection that asks one thing after the other: a client as cheap as can be, for it shares the cores with what it measures. */
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { POD_PORT } from './world.ts';

export interface Reply {
  readonly status: number;
  readonly body: string;
  /** `NAME=VALUE` of the first Set-Cookie; empty = there is none. */
  readonly cookie: string;
}

const HEAD_END = '\r\n\r\n';

export class Line {
  readonly #host: string;
  readonly #port: number;
  #socket: Socket;
  #text = '';
  #waiting: PromiseWithResolvers<Reply> | undefined;

  private constructor(host: string, port: number) {
    this.#host = host;
    this.#port = port;
    this.#socket = this.#connect();
  }

  static async open(host: string, port: number): Promise<Line> {
    const line = new Line(host, port);
    await once(line.#socket, 'connect');
    return line;
  }

  /** One at a time. */
  async ask(host: string, cookie = ''): Promise<Reply> {
    // The server ends a connection after so many requests.
    if (this.#socket.destroyed) this.#socket = this.#connect();
    const waiting = Promise.withResolvers<Reply>();
    this.#waiting = waiting;
    this.#socket.write(`GET / HTTP/1.1\r\nhost: ${host}\r\n${cookie === '' ? '' : `cookie: ${cookie}\r\n`}\r\n`);
    return await waiting.promise;
  }

  close(): void {
    this.#waiting = undefined;
    this.#socket.destroy();
  }

  #connect(): Socket {
    const socket = connect({ host: this.#host, port: this.#port }).setNoDelay(true).setEncoding('latin1');
    socket.on('data', (chunk: string) => this.#take(chunk));
    socket.on('error', (error) => this.#fail(socket, error));
    socket.on('close', () => this.#fail(socket, new Error('the connection was closed')));
    return socket;
  }

  #take(chunk: string): void {
    this.#text += chunk;
    const end = this.#text.indexOf(HEAD_END);
    if (end < 0) return;
    const head = this.#text.slice(0, end);
    const length = Number(/\r\ncontent-length: *(\d+)/i.exec(head)?.[1] ?? 0);
    const from = end + HEAD_END.length;
    if (this.#text.length < from + length) return;
    const body = this.#text.slice(from, from + length);
    this.#text = '';
    const cookie = /\r\nset-cookie: *([^;\r]+)/i.exec(head)?.[1] ?? '';
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (/\r\nconnection: *close/i.test(head)) this.#socket.destroy();
    waiting?.resolve({ status: Number(head.slice('HTTP/1.1 '.length, 'HTTP/1.1 200'.length)), body, cookie });
  }

  #fail(socket: Socket, error: Error): void {
    if (socket !== this.#socket) return;
    this.#waiting?.reject(error);
    this.#waiting = undefined;
  }
}

/** What runs in all pods at once: answers with the address that it was asked at. */
export async function servePods(): Promise<Server> {
  const server = createServer((socket) => {
    const body = socket.localAddress ?? '';
    const answer = `HTTP/1.1 200 OK\r\ncontent-length: ${body.length}\r\n\r\n${body}`;
    let text = '';
    socket.setNoDelay(true).setEncoding('latin1');
    socket.on('data', (chunk: string) => {
      text += chunk;
      for (let end = text.indexOf(HEAD_END); end >= 0; end = text.indexOf(HEAD_END)) {
        text = text.slice(end + HEAD_END.length);
        socket.write(answer);
      }
    });
    // Whoever asked has gone.
    socket.on('error', () => socket.destroy());
  });
  server.listen(POD_PORT, '0.0.0.0');
  await once(server, 'listening');
  return server;
}
