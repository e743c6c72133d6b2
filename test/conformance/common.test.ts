/** What every lane owes its clients and backends, whatever its bytes look like: one list of cases, run over all lanes. */
import { describe, expect, test } from 'vitest';
import { CANNOT } from '../../src/lanes/capabilities.ts';
import { eventually } from '../support/eventually.ts';
import { header, values } from '../support/wire.ts';
import { COOKIE, EMPTY_HOST, startLab, TRUSTED } from './lab.ts';
import type { Site } from './lab.ts';
import { ALL_LANES, testWith } from './lanes.ts';
import type { Answer, Capability, Lane, LaneClient, Question } from './lanes.ts';

const lab = await startLab({ plain: 280, sticky: 120 });

const cases: { name: string; needs: readonly Capability[]; run: (lane: Lane) => Promise<void> }[] = [];

function common(name: string, run: (lane: Lane) => Promise<void>, needs: readonly Capability[] = []): void {
  cases.push({ name, needs, run });
}

/** Asks over a connection of its own. */
async function ask(lane: Lane, question: Question, from?: string): Promise<Answer & { client: LaneClient }> {
  const client = await lane.connect(lab.ports, from);
  client.ask(question);
  return { ...(await client.answer()), client };
}

/** A site whose backend takes every request, with these header lines. */
function accepting(lane: Lane, lines = '', sticky = false): Site {
  const site = sticky ? lab.stickySite() : lab.site();
  site.backend.handler = async (exchange) => {
    await exchange.body();
    lane.accept(exchange, lines);
  };
  return site;
}

/** A site whose backend says these bytes and closes. */
function saying(text: string, sticky = false): Site {
  const site = sticky ? lab.stickySite() : lab.site();
  site.backend.handler = async (exchange) => {
    await exchange.body();
    exchange.wire.end(text);
  };
  return site;
}

async function inFlight(site: Site): Promise<number | undefined> {
  return (await lab.app.metrics()).all('holdfast_endpoint_inflight', { service: site.name })[0]?.value;
}

const setCookies = (answer: Answer): string[] => values(answer, 'set-cookie');
const tokenOf = (answer: Answer): string => /^[^=]*=([^;]*)/.exec(setCookies(answer).at(-1) ?? '')?.[1] ?? '';

common('target bytes reach the backend as they were sent', async (lane) => {
  const site = accepting(lane);
  const target = '//a/../b;c/%2e%2E/?x=[1]|{2}&y=<>^`"\\';
  expect(await ask(lane, { host: site.host, target })).toMatchObject({ status: lane.success });
  expect(site.backend.last.target).toBe(target);
});

common('an untrusted peer’s forwarding headers are replaced, also when spelled with _', async (lane) => {
  const site = accepting(lane);
  const headers = ['For', 'Proto', 'Host', 'Port'].flatMap((name): [string, string][] => [
    [`X-Forwarded-${name}`, '6.6.6.6'],
    [`x_forwarded_${name}`, '6.6.6.6'],
    [`X-Forwarded_${name}`, '6.6.6.6'],
  ]);
  headers.push(['X-Real-IP', '6.6.6.6'], ['X_Real_IP', '6.6.6.6'], ['Forwarded', 'for=6.6.6.6']);
  headers.push(['SSL-Client-Subject-DN', 'CN=6.6.6.6'], ['ssl_client_verify', '6.6.6.6']);
  await ask(lane, { host: `${site.host}:8080`, headers });
  const { last } = site.backend;
  expect(last.head).not.toContain('6.6.6.6');
  expect(values(last, 'x-forwarded-for')).toEqual(['127.0.0.1']);
  expect(values(last, 'x-real-ip')).toEqual(['127.0.0.1']);
  expect(values(last, 'x-forwarded-proto')).toEqual([lane.secure ? 'https' : 'http']);
  expect(values(last, 'x-forwarded-host')).toEqual([`${site.host}:8080`]);
  expect(values(last, 'x-forwarded-port')).toEqual([String(lane.secure ? lab.ports.https : lab.ports.http)]);
  expect(values(last, 'host')).toEqual([`${site.host}:8080`]);
});

common('T43 a trusted peer’s chain is walked from the right to the first untrusted address', async (lane) => {
  const site = accepting(lane);
  const chain = `6.6.6.6, 192.0.2.7, ${TRUSTED}`;
  await ask(
    lane,
    {
      host: site.host,
      headers: [
        ['X-Forwarded-For', chain],
        ['X-Forwarded-Proto', 'https'],
      ],
    },
    TRUSTED,
  );
  const { last } = site.backend;
  expect(values(last, 'x-real-ip')).toEqual(['192.0.2.7']);
  expect(values(last, 'x-forwarded-for')).toEqual([`${chain}, ${TRUSTED}`]);
  expect(values(last, 'x-forwarded-proto')).toEqual(['https']);
});

common('a good request id is kept', async (lane) => {
  const site = accepting(lane);
  await ask(lane, { host: site.host, headers: [['X-Request-Id', 'abc-123']] });
  expect(values(site.backend.last, 'x-request-id')).toEqual(['abc-123']);
});

common('a missing or odd request id is made anew', async (lane) => {
  const site = accepting(lane);
  await ask(lane, { host: site.host });
  await ask(lane, { host: site.host, headers: [['X-Request-Id', 'a b']] });
  await ask(lane, { host: site.host, headers: [['X_Request_Id', 'abc']] });
  const ids = site.backend.requests.flatMap((request) => values(request, 'x-request-id'));
  expect(ids).toHaveLength(3);
  expect(new Set(ids).size).toBe(3);
  for (const id of ids) expect(id).toMatch(/^[0-9a-f]{20,}$/);
});

common(
  'hop-by-hop headers of a request stay here, also those that Connection names',
  async (lane) => {
    const site = accepting(lane);
    const hop: [string, string][] = [
      ['Keep-Alive', 'timeout=5'],
      ['Proxy-Connection', 'keep-alive'],
      ['TE', 'gzip'],
      ['HTTP2-Settings', 'AAMAAABkAARAAAAAAAIAAAAA'],
      ['X-Hop', 'secret'],
      ['X-Stays', 'yes'],
      // A second Connection line counts as much as the first.
      ['Connection', 'x-hop, HTTP2-Settings'],
    ];
    await ask(lane, { host: site.host, headers: hop });
    const { last } = site.backend;
    for (const name of ['keep-alive', 'proxy-connection', 'te', 'http2-settings', 'x-hop']) {
      expect({ name, values: values(last, name) }).toEqual({ name, values: [] });
    }
    expect(values(last, 'x-stays')).toEqual(['yes']);
  },
  ['connectionFields'],
);

common(
  'hop-by-hop headers of a response stay here, also those that Connection names',
  async (lane) => {
    const site = accepting(
      lane,
      'Connection: x-hop\r\nX-Hop: secret\r\nKeep-Alive: timeout=5\r\nProxy-Connection: close\r\nX-Stays: yes\r\n',
    );
    const answer = await ask(lane, { host: site.host });
    expect(answer.status).toBe(lane.success);
    for (const name of ['keep-alive', 'proxy-connection', 'x-hop']) {
      expect({ name, values: values(answer, name) }).toEqual({ name, values: [] });
    }
    expect(values(answer, 'x-stays')).toEqual(['yes']);
  },
  ['http1Answer'],
);

common('a response without Server gets ours, one with it keeps its own', async (lane) => {
  const without = await ask(lane, { host: accepting(lane).host });
  expect(values(without, 'server')).toEqual(['holdfast']);
  const own = await ask(lane, { host: accepting(lane, 'Server: theirs\r\n').host });
  expect(values(own, 'server')).toEqual(['theirs']);
});

common(
  'T54 the first answer carries our cookie once, a kept one carries none, the backend never sees it',
  async (lane) => {
    const site = accepting(lane, '', true);
    const first = await ask(lane, { host: site.host });
    expect(setCookies(first)).toHaveLength(1);
    expect(setCookies(first)[0]).toMatch(
      new RegExp(`^${COOKIE}=[A-Za-z0-9_.~-]+; Path=/; HttpOnly; ${lane.secure ? 'Secure; ' : ''}SameSite=Lax$`),
    );
    const cookie = `${COOKIE}=${tokenOf(first)}`;
    const second = await ask(lane, { host: site.host, headers: [['Cookie', cookie]] });
    expect({ status: second.status, cookies: setCookies(second) }).toEqual({ status: lane.success, cookies: [] });
    expect(values(site.backend.last, 'cookie')).toEqual([]);
  },
);

common('T16 T18 odd Cookie headers: the token is found, the other cookies stay byte for byte', async (lane) => {
  const site = accepting(lane, '', true);
  const token = tokenOf(await ask(lane, { host: site.host }));
  const odd: [sent: string, seen: string[]][] = [
    [`a=1; ${COOKIE}=${token}; b=2`, ['a=1; b=2']],
    [`${COOKIE}="${token}"`, []],
    [`$Version=1; ${COOKIE}=${token}; =x; novalue; c=`, ['$Version=1; =x; novalue; c=']],
    [`a="x;y";${COOKIE}=${token}`, ['a="x;y"']],
    [`  ${COOKIE} = ${token} ;  d=\xe9\x80`, ['d=\xe9\x80']],
    [`${COOKIE}=junk; ${COOKIE}=${token}; e=1`, ['e=1']],
    [`${'j'.repeat(8000)}=; ${COOKIE}=${token}`, [`${'j'.repeat(8000)}=`]],
  ];
  for (const [sent, seen] of odd) {
    const answer = await ask(lane, { host: site.host, headers: [['Cookie', sent]] });
    expect({ sent, status: answer.status, cookies: setCookies(answer) }).toEqual({
      sent,
      status: lane.success,
      cookies: [],
    });
    expect(values(site.backend.last, 'cookie')).toEqual(seen);
  }
});

common('T19 the backend’s own cookie of our name gives way to ours', async (lane) => {
  const site = accepting(lane, `Set-Cookie: ${COOKIE}=theirs; Path=/x\r\n`, true);
  const first = await ask(lane, { host: site.host });
  expect(setCookies(first)).toHaveLength(1);
  expect(tokenOf(first)).not.toBe('theirs');
  const kept = await ask(lane, { host: site.host, headers: [['Cookie', `${COOKIE}=${tokenOf(first)}`]] });
  expect(setCookies(kept)).toEqual([]);
});

common('T20 the backend’s Set-Cookie lines stay as they are, ours comes behind', async (lane) => {
  const own = ['a=1; Path=/; Expires=Wed, 21 Oct 2037 07:28:00 GMT', 'b=2, 3', 'a=4'];
  const site = accepting(lane, own.map((line) => `Set-Cookie: ${line}\r\n`).join(''), true);
  const answer = await ask(lane, { host: site.host });
  expect(setCookies(answer).slice(0, 3)).toEqual(own);
  expect(setCookies(answer)).toHaveLength(4);
});

common('T57 parallel first requests each get a token of the one pod', async (lane) => {
  const site = accepting(lane, '', true);
  const answers = await Promise.all(Array.from({ length: 5 }, () => ask(lane, { host: site.host })));
  for (const answer of answers) expect(setCookies(answer)).toHaveLength(1);
});

common('T58 an answer of our own carries no token', async (lane) => {
  const site = lab.stickySite();
  site.backend.handler = ({ wire }) => wire.reset();
  const answer = await ask(lane, { host: site.host });
  expect(answer).toMatchObject(lane.refused(502));
  expect(setCookies(answer)).toEqual([]);
});

common('a refusal reaches the client whole, with our cookie behind the backend’s own', async (lane) => {
  for (const status of [302, 401, 403, 500]) {
    const lines = `Location: /login\r\nWWW-Authenticate: Basic realm="x"\r\nSet-Cookie: a=1\r\nContent-Length: 5\r\n`;
    const site = saying(`HTTP/1.1 ${status} No\r\n${lines}\r\nhello`, true);
    const answer = await ask(lane, { host: site.host });
    expect(answer).toMatchObject({ status, body: 'hello' });
    expect(header(answer, 'location')).toBe('/login');
    expect(header(answer, 'www-authenticate')).toBe('Basic realm="x"');
    expect(setCookies(answer)).toEqual(['a=1', expect.stringContaining(`${COOKIE}=`)]);
  }
});

common('a refusal in chunks or up to the end of the connection reaches the client whole', async (lane) => {
  const chunked = saying('HTTP/1.1 403 No\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n');
  expect(await ask(lane, { host: chunked.host })).toMatchObject({ status: 403, body: 'hello' });
  const untilClose = saying('HTTP/1.1 403 No\r\n\r\nhello');
  expect(await ask(lane, { host: untilClose.host })).toMatchObject({ status: 403, body: 'hello' });
});

common('an unknown host is answered 404', async (lane) => {
  expect(await ask(lane, { host: 'nobody.test' })).toMatchObject(lane.refused(404));
});

common(
  'a host that is none is answered 400',
  async (lane) => {
    expect(await ask(lane, { host: 'a b' })).toMatchObject({ status: 400 });
  },
  ['badAuthority'],
);

common(
  'an error is text for people and JSON for who asks for it, with the request id in both',
  async (lane) => {
    const id: [string, string] = ['X-Request-Id', 'id-of-this'];
    const text = await ask(lane, { host: 'nobody.test', headers: [id] });
    expect(header(text, 'content-type')).toBe('text/plain; charset=utf-8');
    expect(text.body).toBe('404 Not Found\nNo route matches this host and path.\nRequest id: id-of-this\n');
    expect(values(text, 'server')).toEqual(['holdfast']);
    expect(values(text, 'x-request-id')).toEqual(['id-of-this']);
    const json = await ask(lane, { host: 'nobody.test', headers: [id, ['Accept', 'application/json']] });
    expect(header(json, 'content-type')).toBe('application/json');
    expect(JSON.parse(json.body)).toMatchObject({ status: 404, code: 'no_route', requestId: 'id-of-this' });
  },
  ['errorBody'],
);

common('no endpoint at all is 503, one that refuses connections 502', async (lane) => {
  expect(await ask(lane, { host: EMPTY_HOST })).toMatchObject(lane.refused(503));
  const site = lab.site();
  await site.backend.refuse();
  expect(await ask(lane, { host: site.host })).toMatchObject(lane.refused(502));
});

common('an endpoint that refuses: another one takes the request, and the one cookie names that one', async (lane) => {
  const site = lab.stickySite();
  const other = accepting(lane);
  await lab.addEndpoint(site, other.backend);
  await site.backend.refuse();
  // Whichever endpoint is chosen first.
  for (let i = 0; i < 3; i++) {
    const first = await ask(lane, { host: site.host });
    expect({ status: first.status, cookies: setCookies(first).length }).toEqual({ status: lane.success, cookies: 1 });
    const headers = [['Cookie', `${COOKIE}=${tokenOf(first)}`]] as const;
    const kept = await ask(lane, { host: site.host, headers });
    expect({ status: kept.status, cookies: setCookies(kept) }).toEqual({ status: lane.success, cookies: [] });
  }
  expect(other.backend.requests).toHaveLength(6);
});

common('T18 of several Cookie lines only ours goes', async (lane) => {
  const site = accepting(lane, '', true);
  const token = tokenOf(await ask(lane, { host: site.host }));
  const headers = ['a=1; b=2', `${COOKIE}=${token}`, 'c=3'].map((value) => ['Cookie', value] as const);
  expect(setCookies(await ask(lane, { host: site.host, headers }))).toEqual([]);
  expect(values(site.backend.last, 'cookie').join('; ')).toBe('a=1; b=2; c=3');
});

const MALFORMED: [name: string, text: string][] = [
  ['no HTTP', 'SSH-2.0-OpenSSH\r\n\r\n'],
  ['HTTP/2.0', 'HTTP/2.0 200 OK\r\n\r\n'],
  ['a space before the colon', 'HTTP/1.1 403 No\r\nContent-Length : 0\r\n\r\n'],
  ['two lengths', 'HTTP/1.1 403 No\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxy'],
  ['a length and chunks', 'HTTP/1.1 403 No\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'],
  ['an unknown coding', 'HTTP/1.1 403 No\r\nTransfer-Encoding: gzip\r\n\r\n'],
  ['NUL in a value', 'HTTP/1.1 403 No\r\nA: \0\r\nContent-Length: 0\r\n\r\n'],
  ['a head that is too large', `HTTP/1.1 403 No\r\nA: ${'a'.repeat(20_000)}\r\nContent-Length: 0\r\n\r\n`],
  [
    'Set-Cookie named by Connection',
    'HTTP/1.1 403 No\r\nConnection: set-cookie\r\nSet-Cookie: a=b\r\nContent-Length: 0\r\n\r\n',
  ],
  ['half a head', 'HTTP/1.1 403 No\r\nContent-Le'],
  ['nothing', ''],
];
for (const [name, text] of MALFORMED) {
  common(
    `a backend that says ${name} is 502`,
    async (lane) => {
      const site = saying(text);
      await lab.countsError('upstream', 502, async () => {
        expect(await ask(lane, { host: site.host })).toMatchObject(lane.refused(502));
      });
      await eventually(() => site.backend.connections.every((wire) => wire.ended !== undefined));
    },
    ['http1Answer'],
  );
}

common('a backend that resets before it answers is 502', async (lane) => {
  const site = lab.site();
  site.backend.handler = (exchange) => {
    exchange.wire.reset();
  };
  expect(await ask(lane, { host: site.host })).toMatchObject(lane.refused(502));
});

common(
  'a client that is gone before the answer: the backend’s connection ends, 499, the endpoint is not blamed',
  async (lane) => {
    const site = lab.site();
    site.backend.handler = async (exchange) => {
      await exchange.wire.closed();
    };
    const client = await lane.connect(lab.ports);
    await lab.countsError('client', 499, async () => {
      client.ask({ host: site.host });
      await site.backend.asked(1);
      expect(await inFlight(site)).toBe(1);
      client.reset();
      await site.backend.connections[0]?.closed();
    });
    const labels = { service: site.name };
    const failures = (await lab.app.metrics()).all('holdfast_endpoint_connect_failures_total', labels);
    expect(failures.map(({ value }) => value)).toEqual([0]);
    await eventually(async () => (await inFlight(site)) === 0);
  },
);

common('a head over the limits is 431, a target 414; the backend sees nothing', async (lane) => {
  const site = accepting(lane);
  const large: [limit: string, status: number, question: Question][] = [
    ['head_bytes', 431, { host: site.host, headers: [['X-Large', 'a'.repeat(17_000)]] }],
    ['headers', 431, { host: site.host, headers: Array.from({ length: 120 }, (_, i) => [`X-${i}`, 'v'] as const) }],
    ['target_bytes', 414, { host: site.host, target: `/${'a'.repeat(9000)}` }],
  ];
  for (const [limit, status, question] of large) {
    await lab.counts(limit, async () => {
      expect(await ask(lane, question)).toMatchObject(lane.refused(status));
    });
  }
  expect(site.backend.connections).toEqual([]);
});

common(
  'a head over the limits is the last of its connection',
  async (lane) => {
    const { client } = await ask(lane, { host: lab.site().host, headers: [['X-Large', 'a'.repeat(17_000)]] });
    await client.closed();
  },
  ['closeOnRefusal'],
);

common(
  'every method is forwarded, with and without a body',
  async (lane) => {
    const site = accepting(lane);
    const client = await lane.connect(lab.ports);
    for (const method of ['GET', 'POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH', 'PROPFIND']) {
      client.ask({ host: site.host, method });
      expect(await client.answer()).toMatchObject({ status: lane.success });
      expect(site.backend.last.method).toBe(method);
    }
  },
  ['otherMethods', 'keepAlive'],
);

common(
  'T55 an OPTIONS request neither gets a token nor ends a session',
  async (lane) => {
    const site = accepting(lane, '', true);
    expect(setCookies(await ask(lane, { host: site.host, method: 'OPTIONS' }))).toEqual([]);
    const token = tokenOf(await ask(lane, { host: site.host, method: 'POST' }));
    const headers = [['Cookie', `${COOKIE}=${token}`]] as const;
    expect(setCookies(await ask(lane, { host: site.host, method: 'OPTIONS', headers }))).toEqual([]);
    expect(setCookies(await ask(lane, { host: site.host, method: 'POST', headers }))).toEqual([]);
  },
  ['otherMethods'],
);

common('T56 a token makes a cacheable answer private', async (lane) => {
  const site = saying('HTTP/1.1 404 No\r\nCache-Control: public, max-age=60\r\nContent-Length: 0\r\n\r\n', true);
  const answer = await ask(lane, { host: site.host });
  expect(setCookies(answer)).toHaveLength(1);
  expect(values(answer, 'cache-control').join(', ')).toMatch(/private/);
});

common(
  'T58 HEAD may carry a token; 304 and a 103 carry none',
  async (lane) => {
    const modified = saying('HTTP/1.1 304 Not Modified\r\nETag: "x"\r\n\r\n', true);
    expect(setCookies(await ask(lane, { host: modified.host }))).toEqual([]);
    const hints = saying(
      'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n',
      true,
    );
    const answer = await ask(lane, { host: hints.host, method: 'HEAD' });
    expect(answer.interim.map((message) => values(message, 'set-cookie'))).toEqual([[]]);
    expect(setCookies(answer)).toHaveLength(1);
  },
  ['otherMethods'],
);

common(
  'bodies and trailers arrive whole, whatever the method',
  async (lane) => {
    const site = lab.site();
    const seen: unknown[] = [];
    site.backend.handler = async (exchange) => {
      seen.push([exchange.request.method, await exchange.body()]);
      lane.accept(exchange);
    };
    for (const method of ['POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'GET']) {
      await ask(lane, { host: site.host, method, body: 'hello' });
      await ask(lane, { host: site.host, method, chunks: ['he', 'llo'], trailers: [['x-sum', '1']] });
    }
    const methods = ['POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'GET'];
    expect(seen).toEqual(
      methods.flatMap((method) => [
        [method, { body: 'hello', trailers: [] }],
        [method, { body: 'hello', trailers: [['x-sum', '1']] }],
      ]),
    );
  },
  ['requestBody', 'otherMethods'],
);

common(
  'a stale connection: an idempotent request goes to the same endpoint again, one with a body or a POST does not',
  async (lane) => {
    const site = lab.stickySite();
    const used = new Set<object>();
    site.backend.handler = async (exchange) => {
      await exchange.body();
      // The first request of a connection is answered, the next one is met by its end.
      if (used.has(exchange.wire.connection)) exchange.wire.end();
      else lane.accept(exchange);
      used.add(exchange.wire.connection);
    };
    let client = await lane.connect(lab.ports);
    client.ask({ host: site.host });
    const first = await client.answer();
    const question = { host: site.host, headers: [['Cookie', `${COOKIE}=${tokenOf(first)}`]] as const };
    for (const method of ['GET', 'PUT', 'DELETE']) {
      const before = site.backend.requests.length;
      client.ask({ ...question, method });
      const again = await client.answer();
      expect({ status: again.status, cookies: setCookies(again) }).toEqual({ status: lane.success, cookies: [] });
      expect(site.backend.requests).toHaveLength(before + 2);
    }
    const unsafe: Partial<Question>[] = [
      { method: 'POST' },
      { method: 'PUT', body: 'x' },
      { method: 'PUT', chunks: ['x'] },
    ];
    for (const asked of unsafe) {
      // A fresh connection, so that the next request meets a used one.
      client.ask(question);
      expect(await client.answer()).toMatchObject({ status: lane.success });
      const before = site.backend.requests.length;
      client.ask({ ...question, ...asked });
      expect(await client.answer()).toMatchObject({ status: 502 });
      expect(site.backend.requests).toHaveLength(before + 1);
      client.reset();
      client = await lane.connect(lab.ports);
    }
  },
  ['replay', 'keepAlive', 'otherMethods', 'requestBody'],
);

for (const lane of ALL_LANES) {
  describe(`lane ${lane.name}`, () => {
    for (const { name, needs, run } of cases) {
      testWith(lane, needs, name, () => run(lane));
    }
  });
}

test('every gap of the table is one that some case meets', () => {
  const needed = new Set(cases.flatMap(({ needs }) => needs));
  // These two are about bytes on the wire: their cases are those of the lanes that have them.
  needed.add('http10').add('pipelining');
  expect(CANNOT.filter(({ cannot }) => !needed.has(cannot))).toEqual([]);
});
