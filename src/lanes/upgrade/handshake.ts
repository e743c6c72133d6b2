/** The WebSocket handshake (RFC 6455 section 4) as a proxy has to see it: what is refused, and which headers pass. */
import { IncomingMessage } from 'node:http';
import type { IncomingHttpHeaders } from 'node:http';
import type { Socket } from 'node:net';
import type { RequestHead } from '../../http1/request-head.ts';
import type { NamedEdits } from '../../http1/serialize.ts';
import type { SocketStream } from '../../io/socket-stream.ts';
import type { Refusal } from '../answer.ts';

/** Base64 of 16 bytes (RFC 6455 section 4.1). */
const KEY = /^[A-Za-z0-9+/]{21}[AQgw]==$/;

const HOP_BY_HOP = [
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'content-length',
  'proxy-authenticate',
];

/** undefined = a handshake that may be forwarded. */
export function handshakeFault(head: RequestHead): Refusal | undefined {
  if (head.chunked || head.contentLength >= 0) {
    return {
      status: 400,
      code: 'upgrade_with_body',
      message: 'A WebSocket handshake has neither Content-Length nor Transfer-Encoding',
    };
  }
  const versions = head.headers('sec-websocket-version');
  if (versions.length !== 1 || versions[0] !== '13') {
    return {
      status: 426,
      code: 'websocket_version',
      message: 'Only WebSocket version 13 is spoken here',
      extra: 'Sec-WebSocket-Version: 13\r\nUpgrade: websocket\r\n',
    };
  }
  const keys = head.headers('sec-websocket-key');
  if (keys.length !== 1 || !KEY.test(keys[0] ?? '')) {
    return { status: 400, code: 'websocket_key', message: 'Sec-WebSocket-Key is not the base64 of 16 bytes' };
  }
  return undefined;
}

/**
 * The message that `http-proxy-3` forwards. `text` is the head as the raw lane would send it, hop-by-hop lines removed
 * and ours added.
 */
export function handshakeMessage(head: RequestHead, text: string, stream: SocketStream): IncomingMessage {
  const message = new IncomingMessage(stream as unknown as Socket);
  message.method = head.method;
  // The proxy would parse it and throw at what `URL` refuses; the real target is set on the outgoing request.
  message.url = '/';
  message.httpVersion = '1.1';
  message.httpVersionMajor = message.httpVersionMinor = 1;
  message.headers = { ...headersOf(text), connection: 'Upgrade', upgrade: 'websocket' };
  return message;
}

function headersOf(text: string): IncomingHttpHeaders {
  const headers: Record<string, string | string[]> = Object.create(null) as Record<string, string | string[]>;
  for (const line of text.split('\r\n').slice(1)) {
    const colon = line.indexOf(':');
    if (colon < 0) continue;
    const name = line.slice(0, colon).toLowerCase();
    const value = line.slice(colon + 1).trim();
    const known = headers[name];
    headers[name] = known === undefined ? value : [...(Array.isArray(known) ? known : [known]), value];
  }
  return headers;
}

/** The headers of a 101 for the client; undefined = the backend's answer is not one to a WebSocket handshake. */
export function switchingHeaders(
  response: IncomingMessage,
  edits: {
    readonly setCookie: string | undefined;
    /** A Set-Cookie value as the client shall see it; empty = none. */
    readonly editSetCookie: (line: string) => string;
    readonly named: NamedEdits | undefined;
    readonly server: string;
  },
): IncomingHttpHeaders | undefined {
  const listed = (response.headers.connection ?? '')
    .toLowerCase()
    .split(',')
    .map((name) => name.trim());
  if (response.headers.upgrade?.toLowerCase() !== 'websocket' || !listed.includes('upgrade')) return undefined;
  if (listed.includes('set-cookie') || listed.includes('content-length')) return undefined;
  const headers: IncomingHttpHeaders = { ...response.headers, connection: 'Upgrade', upgrade: 'websocket' };
  for (const name of [...HOP_BY_HOP, ...listed.filter((named) => named !== 'upgrade')])
    Reflect.deleteProperty(headers, name);
  const cookies = (response.headers['set-cookie'] ?? []).map(edits.editSetCookie).filter((line) => line !== '');
  if (edits.setCookie !== undefined) cookies.push(edits.setCookie);
  delete headers['set-cookie'];
  if (cookies.length > 0) headers['set-cookie'] = cookies;
  for (const name of edits.named?.names ?? []) {
    const value = headers[name];
    if (typeof value !== 'string') continue;
    const edited = edits.named?.edit(name, value) ?? value;
    if (edited === '') Reflect.deleteProperty(headers, name);
    else headers[name] = edited;
  }
  if (headers['server'] === undefined && edits.server !== '') headers['server'] = edits.server;
  return headers;
}
