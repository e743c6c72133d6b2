/** The sample backends over real sockets. */
import { once } from 'node:events';
import { connect } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { samplePods, startSampleBackend } from '../../../src/demo/backends.ts';
import type { SampleBackend } from '../../../src/demo/backends.ts';
import type { EndpointSlice, Meta } from '../../../src/model/resources.ts';

let backend: SampleBackend;
let origin: string;

beforeEach(async () => {
  backend = await startSampleBackend({ namespace: 'shop', service: 'web', pod: 'web-0', host: '127.0.0.1', port: 0 });
  origin = `127.0.0.1:${backend.sample.port}`;
});
afterEach(() => backend.close());

test('answers who it is and what it was asked', async () => {
  const response = await fetch(`http://${origin}/cart?a=1`, { method: 'POST', body: 'x'.repeat(70_000) });
  expect(await response.json()).toMatchObject({
    pod: 'web-0',
    namespace: 'shop',
    service: 'web',
    method: 'POST',
    path: '/cart?a=1',
    host: origin,
    headers: { host: origin },
    bodyBytes: 70_000,
  });
});

test('/requests tells how many it has counted, itself excepted', async () => {
  await (await fetch(`http://${origin}/a`)).text();
  await (await fetch(`http://${origin}/b`)).text();
  expect(await (await fetch(`http://${origin}/requests`)).json()).toEqual({ requests: 2 });
  expect(await (await fetch(`http://${origin}/requests`)).json()).toEqual({ requests: 2 });
  expect(backend.requests()).toBe(2);
});

test('a taken address rejects', async () => {
  await expect(startSampleBackend(backend.sample)).rejects.toMatchObject({ code: 'EADDRINUSE' });
});

describe('WebSocket echo', () => {
  async function open(): Promise<WebSocket> {
    const socket = new WebSocket(`ws://${origin}/ws`);
    await once(socket, 'open');
    return socket;
  }

  async function echoed(socket: WebSocket, data: string | Buffer): Promise<Buffer> {
    socket.send(data);
    const [message] = (await once(socket, 'message')) as [Buffer];
    return message;
  }

  test.each([0, 1, 125, 126, 65_535, 65_536, 1_000_000])('%i bytes', async (size) => {
    const socket = await open();
    const data = Buffer.alloc(size, 'abc');
    expect((await echoed(socket, data)).equals(data)).toBe(true);
    socket.terminate();
  });

  test('text, fragments, ping and close', async () => {
    const socket = await open();
    expect((await echoed(socket, 'héllo')).toString()).toBe('héllo');
    socket.send('one ', { fin: false });
    socket.send('two', { fin: true });
    const [joined] = (await once(socket, 'message')) as [Buffer];
    expect(joined.toString()).toBe('one two');
    const pong = once(socket, 'pong');
    socket.ping('p');
    expect(String((await pong)[0])).toBe('p');
    const closed = once(socket, 'close');
    socket.close(4321, 'bye');
    expect(await closed).toEqual([4321, Buffer.from('bye')]);
  });

  test('the handshake names the pod', async () => {
    const socket = new WebSocket(`ws://${origin}/ws`);
    const [response] = (await once(socket, 'upgrade')) as [{ headers: Record<string, string> }];
    expect(response.headers['x-pod']).toBe('web-0');
    socket.terminate();
  });

  test.each([
    ['an unmasked frame', Buffer.from([0x81, 0x01, 0x61])],
    ['a reserved bit', Buffer.from([0xc1, 0x80, 0, 0, 0, 0])],
    ['a giant', Buffer.from([0x82, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0])],
  ])('%s ends the connection', async (_name, bytes) => {
    const socket = connect(backend.sample.port, '127.0.0.1');
    const key = 'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n';
    socket.write(`GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n${key}\r\n`);
    await once(socket, 'data');
    socket.write(bytes);
    const [frame] = (await once(socket, 'data')) as [Buffer];
    expect([...frame]).toEqual([0x88, 2, 0x03, 0xea]);
    await once(socket, 'close');
  });

  test('another version is answered 426', async () => {
    const socket = connect(backend.sample.port, '127.0.0.1');
    socket.write(
      'GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 8\r\n\r\n',
    );
    const [answer] = (await once(socket, 'data')) as [Buffer];
    expect(answer.toString()).toMatch(/^HTTP\/1\.1 426 [^]*Sec-WebSocket-Version: 13\r\n/);
    socket.destroy();
  });

  test('close of the backend ends upgraded connections', async () => {
    const socket = await open();
    const closed = once(socket, 'close');
    await backend.close();
    await closed;
    expect(socket.readyState).toBe(WebSocket.CLOSED);
  });
});

describe('samplePods', () => {
  const meta: Meta = {
    namespace: 'shop',
    name: 'web-0',
    uid: '',
    generation: 0,
    creationTimestamp: undefined,
    annotations: {},
    labels: {},
  };

  function slice(address: string, port: number | undefined, service = 'web'): EndpointSlice {
    return {
      kind: 'EndpointSlice',
      meta,
      service,
      addressType: 'IPv4',
      ports: [{ name: 'http', port, protocol: 'TCP', index: 0 }],
      endpoints: [
        {
          address,
          ready: true,
          serving: undefined,
          terminating: undefined,
          targetRef: { kind: 'Pod', namespace: 'shop', name: 'web-0', uid: 'u' },
          index: 0,
        },
      ],
    };
  }

  test('loopback addresses with a port, each once', () => {
    const slices = [slice('127.0.0.1', 1), slice('127.0.0.1', 1), slice('::1', 2), slice('10.0.0.1', 3)];
    expect(samplePods([...slices, slice('127.0.0.1', undefined), slice('127.0.0.1', 4, '')])).toEqual([
      { namespace: 'shop', service: 'web', pod: 'web-0', host: '127.0.0.1', port: 1 },
      { namespace: 'shop', service: 'web', pod: 'web-0', host: '::1', port: 2 },
    ]);
  });
});
