/** Mostly valid requests as text, and small mutations of them. */
import fc from 'fast-check';

const METHOD = fc.constantFrom('GET', 'POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH', 'PROPFIND');
const TARGET = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.constantFrom('/', '/a/b?c=d', '//x', '/[a]|{b}', '/%2e%2e/x', '/?', 'http://a.example/x'),
  },
  {
    weight: 1,
    arbitrary: fc
      .string({ maxLength: 12, unit: fc.constantFrom(...'/?&=%~!$\'()*+,;:@"<>\\^`{|}[]az09._-') })
      .map((t) => `/${t}`),
  },
);
const VERSION = fc.constantFrom('HTTP/1.1', 'HTTP/1.1', 'HTTP/1.1', 'HTTP/1.1', 'HTTP/1.0');
const LINE = fc.oneof(
  fc.constantFrom(
    'Accept: */*',
    'accept:text/html',
    'Cookie: a=1; b=2',
    'cookie: c=3',
    'X-Forwarded-For: 192.0.2.1',
    'x_forwarded_for: 192.0.2.1',
    'X-Forwarded-Proto: https',
    'X-Request-Id: 1',
    'Forwarded: for=a',
    'Connection: keep-alive',
    'Connection: X-Hop, close',
    'X-Hop: 1',
    'Keep-Alive: timeout=5',
    'TE: trailers',
    'Upgrade: h2c',
    'Proxy-Connection: keep-alive',
    'Content_Length: 7',
    'X-Empty:',
    'X-Tab:\ta\tb \t',
    'X-High: \xe9\xff\x80',
    'Trailer: X-Sum',
    'Expect: 100-continue',
  ),
  fc
    .tuple(
      fc.string({ minLength: 1, maxLength: 8, unit: fc.constantFrom(..."abXY09-_!#$%&'*+.^`|~") }),
      fc.string({ maxLength: 12, unit: fc.constantFrom(...' \t:,;="azAZ09\\\xa0\xfe') }),
    )
    .map(([name, value]) => `${name}:${value}`),
);
const BODY = fc.string({ maxLength: 30, unit: fc.constantFrom(...'abc \r\n0:\xff') });
const EXTENSION = fc.constantFrom('', '', '', ';a', ';a=b;c="d"');

interface Framed {
  readonly lines: string[];
  readonly body: string;
}

const FRAMED: fc.Arbitrary<Framed> = fc.oneof(
  fc.constant<Framed>({ lines: [], body: '' }),
  BODY.map((body) => ({ lines: [`Content-Length: ${body.length}`], body })),
  fc
    .tuple(
      fc.array(fc.tuple(BODY, EXTENSION), { maxLength: 4 }),
      fc.array(fc.constantFrom('X-Sum: 1', 'x-b:', 'Content-Length: 3', 'Cookie: x=y'), { maxLength: 3 }),
    )
    .map(([chunks, trailers]) => ({
      lines: ['Transfer-Encoding: chunked'],
      body: [
        ...chunks
          .filter(([data]) => data !== '')
          .map(([data, ext]) => `${data.length.toString(16)}${ext}\r\n${data}\r\n`),
        '0\r\n',
        ...trailers.map((line) => `${line}\r\n`),
        '\r\n',
      ].join(''),
    })),
);

/** One valid request, nearly always. */
export const REQUEST = fc
  .tuple(METHOD, TARGET, VERSION, fc.array(LINE, { maxLength: 8 }), FRAMED, fc.nat({ max: 20 }))
  .map(([method, target, version, others, framed, at]) => {
    const lines = others.filter((line) => version === 'HTTP/1.1' || !line.startsWith('Expect'));
    lines.splice(at % (lines.length + 1), 0, 'Host: a.example', ...framed.lines);
    return `${method} ${target} ${version}\r\n${lines.map((line) => `${line}\r\n`).join('')}\r\n${framed.body}`;
  });

const PIECE = fc.constantFrom(
  '\r',
  '\n',
  '\r\n',
  ' ',
  '\t',
  '\0',
  ':',
  ',',
  ';',
  '0',
  '5',
  'a',
  '\x7f',
  '\xff',
  '_',
  '"',
  'Content-Length: 3\r\n',
  'Transfer-Encoding: chunked\r\n',
  'Host: b\r\n',
  ' chunked',
  'GET / HTTP/1.1\r\n\r\n',
);
const MUTATION = fc.tuple(fc.nat(), fc.nat({ max: 2 }), fc.oneof(PIECE, fc.constant('')));

/** Some text with up to `max` bytes replaced by something nasty. */
export function mutated(text: fc.Arbitrary<string>, max: number): fc.Arbitrary<string> {
  return fc.tuple(text, fc.array(MUTATION, { maxLength: max })).map(([wire, mutations]) => {
    let out = wire;
    for (const [seed, remove, insert] of mutations) {
      const at = seed % (out.length + 1);
      out = out.slice(0, at) + insert + out.slice(at + remove);
    }
    return out;
  });
}
