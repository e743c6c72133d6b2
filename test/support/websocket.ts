/** One short visit over a WebSocket: the handshake with a cookie jar, a message there and back, a clean close. */
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { WebSocket } from 'ws';
import { closeAtEnd } from './cleanup.ts';
import type { Client } from './client.ts';

export interface Visit {
  readonly pod: string;
  /** Of the 101. */
  readonly setCookies: readonly string[];
}

/** Opens a WebSocket with the client's cookies and stores the cookies of the 101. The first message names the pod. */
export async function openWebSocket(client: Client, path = '/ws'): Promise<Visit & { readonly socket: WebSocket }> {
  const headers: Record<string, string> = { host: 'web.test' };
  if (client.cookies.size > 0) headers['cookie'] = client.cookieHeader;
  const socket = new WebSocket(`ws://127.0.0.1:${client.port}${path}`, { headers });
  closeAtEnd(async () => socket.terminate());
  const first = once(socket, 'message') as Promise<[Buffer]>;
  const [response] = (await once(socket, 'upgrade')) as [IncomingMessage];
  const setCookies = response.headers['set-cookie'] ?? [];
  client.storeCookies(setCookies);
  const [message] = await first;
  return { socket, pod: message.toString(), setCookies };
}

export async function visitWebSocket(client: Client, path = '/ws'): Promise<Visit> {
  const { socket, pod, setCookies } = await openWebSocket(client, path);
  const echo = once(socket, 'message') as Promise<[Buffer]>;
  socket.send('hello');
  const [message] = await echo;
  if (message.toString() !== 'hello') throw new Error(`not the echo: ${message.toString()}`);
  const closed = once(socket, 'close');
  socket.close();
  await closed;
  return { pod, setCookies };
}
