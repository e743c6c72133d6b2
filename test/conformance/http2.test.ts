/** What is HTTP/2's own: many streams on one connection, each with its session, its flow control and its end. */
import { once } from 'node:events';
import { constants } from 'node:http2';
import type { ClientHttp2Stream, IncomingHttpHeaders } from 'node:http2';
import { describe, expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { answerOf, endOf, Http2Client } from '../support/http2-client.ts';
import type { Http2Answer, Http2Question } from '../support/http2-client.ts';
import {
  acceptWebSocket,
  CLOSE,
  closeWithWires,
  echoFrames,
  frame,
  header,
  HostileBackend,
  TEXT,
  values,
} from '../support/wire.ts';
import { COOKIE, startLab } from './lab.ts';
import type { Site } from './lab.ts';

const lab = await startLab({ plain: 30, sticky: 4 });

const MEGABYTES = 8;
const LARGE = Buffer.alloc(MEGABYTES * 1024 * 1024, 'holdfast and its streams; ').toString('latin1');

async function open(): Promise<Http2Client> {
  const client = await Http2Client.connect(lab.ports.https, { secure: true });
  closeWithWires(client);
  return client;
}

function question(site: Site, rest: Partial<Http2Question> = {}): Http2Question {
  return { method: 'GET', target: '/', authority: site.host, headers: [], ...rest };
}

async function ask(site: Site, rest: Partial<Http2Question> = {}): Promise<Http2Answer> {
  return await (await open()).ask(question(site, rest));
}

describe('streams and sessions', () => {
  test('100 streams of 100 sessions on one connection: each reaches its own pod, by its own decision', async () => {
    const site = lab.stickySite();
    const pods = [site.backend, await HostileBackend.start(), await HostileBackend.start()];
    for (const [i, backend] of pods.entries()) {
      if (i > 0) await lab.addEndpoint(site, backend, `other-${i}`);
      backend.handler = (exchange) => {
        exchange.answer(200, '', `pod ${i}`);
      };
    }
    const client = await open();
    const firsts = await Promise.all(Array.from({ length: 100 }, () => client.ask(question(site))));
    const sessions = firsts.map((answer) => ({
      pod: answer.body,
      cookie: header(answer, 'set-cookie')?.split(';')[0] ?? '',
    }));
    expect(new Set(sessions.map(({ cookie }) => cookie)).size).toBeGreaterThanOrEqual(3);
    expect(new Set(sessions.map(({ pod }) => pod)).size).toBe(3);
    for (let turn = 0; turn < 3; turn++) {
      const again = await Promise.all(
        sessions.map(({ cookie }) => client.ask(question(site, { headers: [['cookie', cookie]] }))),
      );
      expect(again.map(({ body }) => body)).toEqual(sessions.map(({ pod }) => pod));
      expect(again.flatMap((answer) => values(answer, 'set-cookie'))).toEqual([]);
    }
    expect(client.session.destroyed).toBe(false);
  });

  test('T17 the crumbs of a cookie are one line to the backend, and the token is found in its own crumb', async () => {
    const site = lab.stickySite();
    const first = await ask(site);
    const token = header(first, 'set-cookie')?.split(';')[0] ?? '';
    const headers = ['a=1', token, 'b=2'].map((crumb) => ['cookie', crumb] as const);
    const answer = await ask(site, { headers });
    expect(values(answer, 'set-cookie')).toEqual([]);
    expect(values(site.backend.last, 'cookie')).toEqual(['a=1; b=2']);
    expect(token).toContain(COOKIE);
  });

  test('T60 two users of one proxy share a connection: neither gets the other’s session', async () => {
    const site = lab.stickySite();
    await lab.addEndpoint(site, await HostileBackend.start(), 'other');
    const client = await open();
    const [one, two] = await Promise.all([client.ask(question(site)), client.ask(question(site))]);
    expect(values(one, 'set-cookie')).toHaveLength(1);
    expect(values(two, 'set-cookie')).toHaveLength(1);
  });
});

describe('flow control', () => {
  test('a large answer arrives whole', async () => {
    const site = lab.site();
    site.backend.handler = (exchange) => {
      exchange.answer(200, '', LARGE);
    };
    const { body } = await ask(site);
    expect(body === LARGE).toBe(true);
  });

  test('a large request arrives whole, with and without its length', async () => {
    const site = lab.site();
    site.backend.handler = async (exchange) => {
      const { body } = await exchange.body();
      exchange.answer(200, '', body === LARGE ? 'same' : `${body.length} other bytes`);
    };
    const client = await open();
    const [sized, parts] = await Promise.all([
      client.ask(question(site, { method: 'POST', body: LARGE })),
      client.ask(question(site, { method: 'POST', chunks: [LARGE.slice(0, 70_000), LARGE.slice(70_000)] })),
    ]);
    expect([sized.body, parts.body]).toEqual(['same', 'same']);
  });

  test('a client that does not read one answer gets the others, and its backend has to wait', async () => {
    const site = lab.site();
    let sent = 0;
    site.backend.handler = async ({ request, wire }) => {
      if (request.target !== '/endless') return wire.send('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
      wire.send('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n');
      const chunk = `10000\r\n${'e'.repeat(0x10000)}\r\n`;
      while (!wire.socket.destroyed) {
        sent += 0x10000;
        if (!wire.socket.write(chunk)) await Promise.race([once(wire.socket, 'drain'), once(wire.socket, 'close')]);
      }
    };
    const client = await open();
    const slow = client.send(question(site, { target: '/endless' }));
    await once(slow, 'response');
    // Nobody takes its data: the windows fill, and then the sockets.
    let before = -1;
    await eventually(() => {
      const still = sent === before;
      before = sent;
      return still && sent > 0;
    });
    for (let i = 0; i < 20; i++) expect((await client.ask(question(site))).body).toBe('ok');
    expect(sent).toBeLessThan(64 * 1024 * 1024);
    slow.close(constants.NGHTTP2_CANCEL);
    expect(await endOf(slow)).toBe(constants.NGHTTP2_CANCEL);
    await eventually(() => site.backend.connections.some((wire) => wire.ended !== undefined));
  });

  test('a backend that takes no body holds up no other stream', async () => {
    const stuck = lab.site();
    stuck.backend.onConnection = (wire) => wire.socket.pause();
    const site = lab.site();
    site.backend.handler = async (exchange) => {
      exchange.answer(200, '', String((await exchange.body()).body.length));
    };
    const client = await open();
    const held = Array.from({ length: 20 }, () =>
      client.send(question(stuck, { method: 'POST', chunks: [LARGE.slice(0, 1 << 20)] })),
    );
    for (let i = 0; i < 5; i++) {
      const answer = await client.ask(question(site, { method: 'POST', body: LARGE.slice(0, 1 << 20) }));
      expect(answer.body).toBe(String(1 << 20));
    }
    for (const stream of held) stream.close(constants.NGHTTP2_CANCEL);
    await Promise.all(held.map(endOf));
  });
});

describe('ends', () => {
  test('an answer before the request is complete: it arrives whole, then the rest is not wanted', async () => {
    const site = lab.site();
    site.backend.handler = (exchange) => {
      exchange.answer(413, '', 'too large');
      exchange.wire.end();
    };
    const client = await open();
    const stream = client.session.request({ ':method': 'POST', ':authority': site.host }, { endStream: false });
    stream.write('first');
    const { status, body } = await answerOf(stream);
    expect({ status, body, code: stream.rstCode }).toEqual({ status: 413, body: 'too large', code: 0 });
    expect((await client.ask(question(lab.site()))).status).toBe(200);
  });

  test('a backend that is cut off in the middle of its answer: the stream is reset, the connection goes on', async () => {
    const site = lab.site();
    site.backend.handler = (exchange) => {
      exchange.send('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello');
      exchange.wire.end();
    };
    const client = await open();
    const stream = client.send(question(site));
    expect(await endOf(stream)).toBe(constants.NGHTTP2_INTERNAL_ERROR);
    expect((await client.ask(question(lab.site()))).status).toBe(200);
  });

  test('a client that resets its stream: the backend’s connection ends, 499, the other streams go on', async () => {
    const site = lab.site();
    site.backend.handler = async (exchange) => {
      await exchange.wire.closed();
    };
    const client = await open();
    await lab.countsError('client', 499, async () => {
      const stream = client.send(question(site));
      await site.backend.asked(1);
      stream.close(constants.NGHTTP2_CANCEL);
      await site.backend.connections[0]?.closed();
    });
    expect((await client.ask(question(lab.site()))).status).toBe(200);
  });

  test('interim answers, trailers both ways and no body at all', async () => {
    const site = lab.site();
    site.backend.handler = async (exchange) => {
      const { trailers } = await exchange.body();
      exchange.send('HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n');
      const lines = trailers.map(([name, value]) => `${name}: ${value}\r\n`).join('');
      exchange.send(`HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n${lines}\r\n`);
    };
    const answer = await ask(site, { method: 'POST', chunks: ['a', 'b'], trailers: [['x-sum', '7']] });
    expect(answer.interim.map(({ headers }) => headers)).toEqual([expect.arrayContaining([['link', '</a>']])]);
    expect(answer).toMatchObject({ status: 200, body: 'ok', trailers: [['x-sum', '7']] });
    const empty = lab.site();
    for (const text of ['204 No', '304 No', '200 OK\r\nContent-Length: 0']) {
      empty.backend.handler = (exchange) => exchange.send(`HTTP/1.1 ${text}\r\n\r\n`);
      expect(await ask(empty)).toMatchObject({ status: Number(text.slice(0, 3)), body: '' });
    }
    const head = lab.site();
    head.backend.handler = (exchange) => exchange.send('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n');
    const answered = await ask(head, { method: 'HEAD' });
    expect({ body: answered.body, length: header(answered, 'content-length') }).toEqual({ body: '', length: '10' });
  });

  test('an answer up to the end of the backend’s connection, and one in chunks of any size', async () => {
    const site = lab.site();
    site.backend.handler = (exchange) => {
      exchange.wire.end('HTTP/1.1 200 OK\r\n\r\nuntil the end');
    };
    expect(await ask(site)).toMatchObject({ body: 'until the end' });
    site.backend.handler = async ({ wire }) => {
      wire.send('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n');
      for (const part of ['1\r\na\r\n', '2\r\nbc\r\n', '0\r\n\r\n']) {
        wire.send(part);
        await new Promise((resolve) => setImmediate(resolve));
      }
    };
    expect(await ask(site)).toMatchObject({ body: 'abc' });
  });

  test('hop-by-hop fields of a backend and its framing do not pass', async () => {
    const site = lab.site();
    site.backend.handler = (exchange) => {
      exchange.send(
        'HTTP/1.1 200 OK\r\nConnection: x-hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=9\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
      );
    };
    const { headers } = await ask(site);
    expect(headers.map(([name]) => name).sort()).toEqual(['server']);
  });
});

describe('requests that are refused', () => {
  test('CONNECT without a protocol is 405 and told what is allowed, as over HTTP/1', async () => {
    const client = await open();
    const fields = { ':method': 'CONNECT', ':authority': 'a:443' };
    const answer = await answerOf(client.session.request(fields, { endStream: false }));
    expect(answer).toMatchObject({ status: 405 });
    expect(answer.body).toContain('CONNECT is not allowed.');
    expect(header(answer, 'allow')).toBe('GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS, TRACE');
  });

  test('what is wrong with a request is told in a sentence', async () => {
    const answer = await ask(lab.site(), { target: `/${'x'.repeat(9000)}` });
    expect(answer).toMatchObject({ status: 414 });
    expect(answer.body).toContain('The request target is too long.');
  });
});

describe('WebSocket over HTTP/2 (RFC 8441)', () => {
  /** A tunnel to a backend that echoes, and what comes out of it. */
  async function tunnel(): Promise<{ site: Site; stream: ClientHttp2Stream; came: () => Buffer }> {
    const site = lab.site();
    site.backend.handler = async (exchange) => {
      await echoFrames(acceptWebSocket(exchange));
    };
    const client = await open();
    const stream = client.openWebSocket('/chat', site.host, [['sec-websocket-version', '13']]);
    const [fields] = (await once(stream, 'response')) as [IncomingHttpHeaders & { ':status': number }];
    expect(fields[':status']).toBe(200);
    expect(fields['sec-websocket-accept']).toBeUndefined();
    const chunks: Buffer[] = [];
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    return { site, stream, came: () => Buffer.concat(chunks) };
  }

  test('messages go both ways, small and large', async () => {
    const { site, stream, came } = await tunnel();
    expect(site.backend.last).toMatchObject({ method: 'GET', target: '/chat' });
    expect(values(site.backend.last, 'upgrade')).toEqual(['websocket']);
    expect(values(site.backend.last, 'sec-websocket-key')[0]).toMatch(/^[A-Za-z0-9+/]{22}==$/);
    const messages = ['hello', 'x'.repeat(200_000), LARGE.slice(0, 2 << 20)];
    for (const message of messages) stream.write(frame(TEXT, message, { mask: true }));
    const expected = Buffer.concat(messages.map((message) => frame(TEXT, message)));
    await eventually(() => came().length >= expected.length);
    expect(came().equals(expected)).toBe(true);
  });

  test('it ends when both sides have closed', async () => {
    const { site, stream } = await tunnel();
    stream.write(frame(CLOSE, Buffer.from([3, 232]), { mask: true }));
    stream.end();
    expect(await endOf(stream)).toBe(constants.NGHTTP2_NO_ERROR);
    await site.backend.connections[0]?.closed();
  });

  test('a client that resets it ends the backend’s connection', async () => {
    const { site, stream } = await tunnel();
    stream.close(constants.NGHTTP2_CANCEL);
    await site.backend.connections[0]?.closed();
  });

  test('another protocol than WebSocket is refused, and the connection goes on', async () => {
    const client = await open();
    const site = lab.site();
    const stream = client.session.request(
      { ':method': 'CONNECT', ':protocol': 'connect-udp', ':authority': site.host, ':path': '/' },
      { endStream: false },
    );
    expect(await answerOf(stream)).toMatchObject({ status: 501 });
    expect(await client.ask(question(site))).toMatchObject({ status: 200 });
  });
});
