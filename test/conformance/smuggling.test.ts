/** What is ambiguous is refused before a backend sees it, and what is not arrives as it was meant: all fixtures, through the whole proxy. */
import { describe, expect, test } from 'vitest';
import { REQUEST_FIXTURES } from '../fixtures/wire/requests.ts';
import type { WireFixture } from '../fixtures/wire/requests.ts';
import type { BackendExchange } from '../support/wire.ts';
import { overHttp2 } from './endpoints.ts';
import { startLab } from './lab.ts';
import { WIRE_LANES } from './lanes.ts';

// Without HTTP/2: its preface is a malformed request.
const lab = await startLab({ plain: 1, catchAll: true, config: { h2c: false } });
const { backend } = lab.site();

/** Requests that the backend got whole, as the fixtures tell them. */
const whole: string[] = [];
backend.handler = async (exchange) => {
  whole.push(await told(exchange));
  exchange.answer(200, '', exchange.request.target);
};

async function told(exchange: BackendExchange): Promise<string> {
  const { body, trailers } = await exchange.body();
  const lines = trailers.map(([name, value]) => `${name.toLowerCase()}: ${value}\r\n`.replace(': \r', ':\r')).join('');
  const parts = [`${exchange.request.method} ${exchange.request.target}`];
  if (body !== '') parts.push(`body ${body}`);
  if (lines !== '') parts.push(`trailers ${lines}`);
  return parts.join(' | ');
}

/** `GET / | body x | end | GET /2 | end` → one text a request, names of trailers in lower case, as HTTP/2 has them. */
function requestsOf(events: string): string[] {
  return events
    .split(/ \| end(?: \| |$)/)
    .filter((one) => one !== '' && !one.includes('error '))
    .map((one) => one.replaceAll('\\r', '\r').replaceAll('\\n', '\n'))
    .map((one) => one.replace(/trailers [^]*/, (lines) => lines.toLowerCase()));
}

const refused = REQUEST_FIXTURES.filter(({ events }) => events.includes('error '));
// A WebSocket handshake is no plain request.
const accepted = REQUEST_FIXTURES.filter(({ name, events }) => events.endsWith('end') && name !== 'WebSocket');
// RFC 9113, 8.3.1: a request has an authority.
const unsayable = accepted.filter(({ wire }) => overHttp2() && !/^Host:[ \t]*\S| https?:/im.test(wire));
const good = accepted.filter((one) => !unsayable.includes(one));

describe.each(WIRE_LANES)('lane $name', ({ connect }) => {
  test.each(refused)('refused: $name', async ({ wire, events }: WireFixture) => {
    whole.length = 0;
    const seen = { connections: backend.connections.length, bytes: backend.bytes };
    const expected = /error (\d+)/.exec(events)?.[1];
    const before = requestsOf(events);
    const client = await connect(lab.ports);
    client.send(wire);
    for (let i = 0; i < before.length; i++) expect(await client.response()).toMatchObject({ status: 200 });
    const answer = await client.response();
    expect(String(answer.status)).toBe(expected);
    expect(answer.headers).toContainEqual(['Connection', 'close']);
    expect(await client.rest()).toBe('');
    expect(whole).toEqual(before);
    // Of a refused head the backend sees not one byte; a refused body can only be cut off. (Heads come first in the list.)
    if (!events.startsWith('error ')) return;
    expect({ connections: backend.connections.length, bytes: backend.bytes }).toEqual(seen);
  });

  test.each(good)('forwarded: $name', async ({ wire, events }: WireFixture) => {
    whole.length = 0;
    const expected = requestsOf(events);
    const client = await connect(lab.ports);
    client.send(wire);
    for (const one of expected) {
      const { status, body } = await client.response();
      expect({ status, body }).toEqual({ status: 200, body: one.split(' ')[1] });
    }
    expect(whole).toEqual(expected);
  });

  test.each(unsayable)('without a host, to an endpoint of HTTP/2: $name', async ({ wire }: WireFixture) => {
    const client = await connect(lab.ports);
    client.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    expect(await client.response()).toMatchObject({ status: 200 });
    const seen = { sockets: backend.sockets, requests: backend.requests.length };
    client.send(wire);
    expect(await client.response()).toMatchObject({ status: 400 });
    expect({ sockets: backend.sockets, requests: backend.requests.length }).toEqual(seen);
  });
});
