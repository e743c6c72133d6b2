/** Stands between a controller and the API server and passes bytes on, until the test says that the way is broken. */
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { API_CA, API_SERVER } from './control-plane.ts';
import type { Way } from './controller.ts';

/** Below the ports that outgoing connections take, so that it is still free after a while of not listening. */
const PORT = 6444;

type State = 'open' | 'mute' | 'cut';

export class Relay {
  /** TLS is not ended here: the API server's own certificate is seen. */
  readonly way: Way = { host: '127.0.0.1', port: PORT, authority: API_CA };
  /** When connections came: wall clock, ms. */
  readonly arrivals: number[] = [];
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #state: State = 'open';

  private constructor() {
    this.#server = createServer((client) => this.#take(client));
  }

  static async start(): Promise<Relay> {
    const relay = new Relay();
    await relay.#listen();
    return relay;
  }

  /** As packets are lost: not a byte goes through, new connections included, and nobody is told. */
  mute(): void {
    this.#state = 'mute';
    for (const socket of this.#sockets) socket.unpipe().pause();
  }

  /** As a load balancer without backends: every connection is reset, new ones at once. */
  cut(): void {
    this.#state = 'cut';
    this.#drop();
  }

  /** As a machine without the program: connections are refused. */
  async shut(): Promise<void> {
    this.#state = 'cut';
    this.#server.close();
    this.#drop();
    await once(this.#server, 'close');
  }

  /** All is well again for new connections. Those that were muted are lost, as they are to a server that started anew. */
  async restore(): Promise<void> {
    this.#state = 'open';
    if (!this.#server.listening) await this.#listen();
  }

  async #listen(): Promise<void> {
    await once(this.#server.listen(PORT, this.way.host), 'listening');
  }

  #take(client: Socket): void {
    this.arrivals.push(Date.now());
    this.#keep(client);
    if (this.#state === 'cut') client.resetAndDestroy();
    else if (this.#state === 'mute') client.pause();
    else this.#join(client, this.#keep(connect(API_SERVER)));
  }

  #join(client: Socket, server: Socket): void {
    client.pipe(server);
    server.pipe(client);
    client.on('close', () => server.destroy());
    server.on('close', () => client.destroy());
  }

  #keep(socket: Socket): Socket {
    this.#sockets.add(socket);
    // Whoever is at the other end hears of it by the close.
    socket.on('error', () => undefined);
    socket.on('close', () => this.#sockets.delete(socket));
    return socket;
  }

  #drop(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }
}
