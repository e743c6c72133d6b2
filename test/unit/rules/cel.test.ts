/** Expressions in CEL: what they see, what counts as an error, what is refused, and that their cost is bounded. */
import { registerHooks } from 'node:module';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { celProblem, compileCel } from '../../../src/rules/cel/compile.ts';
import type { RegexCompiler } from '../../../src/rules/kind.ts';
import { compileRe2 } from '../../../src/rules/re2.ts';
import { facts } from '../affinity/fixtures.ts';

type Request = Parameters<typeof facts>[0];

const REQUEST: Request = {
  method: 'POST',
  host: 'shop.example',
  path: '/api/v2/carts',
  query: 'user=a%20b&user=second&empty=&X=1',
  cookie: 'SHOP="one"; shop=two; other=3',
  clientAddress: '2001:db8::7',
  scheme: 'https',
  port: 443,
  tls: { sni: 'tls.example', session: '', client: undefined },
  head: { 'x-user': 'bob', 'x-empty': '' },
};

/** The value, and how many errors were heard of. */
function run(cel: string, kind: 'string' | 'bool', request = REQUEST): [value: unknown, errors: number] {
  let errors = 0;
  const evaluate = compileCel({}, cel, kind, compileRe2, () => errors++);
  return [evaluate(facts(request)), errors];
}

// The first test of the file: its thread has not seen an expression yet.
test('the library is loaded by the first expression, not by the code that may need it', () => {
  const loaded: string[] = [];
  const hooks = registerHooks({
    resolve(specifier, context, next) {
      loaded.push(specifier);
      return next(specifier, context);
    },
  });
  expect(compileRe2('a', false).test('a')).toBe(true);
  expect(loaded).not.toContain('@marcbachmann/cel-js');
  expect(celProblem("request.path == '/'", 'bool')).toBeUndefined();
  hooks.deregister();
  expect(loaded).toContain('@marcbachmann/cel-js');
});

describe('what an expression sees', () => {
  test.each<[string, string]>([
    ['request.method', 'POST'],
    ['request.host', 'shop.example'],
    ['request.path', '/api/v2/carts'],
    ['request.scheme', 'https'],
    ['string(request.port + 1)', '444'],
    ["request.query['user']", 'a b'],
    ['request.query.X', '1'],
    ["request.query['empty'] + '.'", '.'],
    ["request.headers['x-user']", 'bob'],
    ["request.headers['x-empty']", ''],
    ["request.cookies['shop']", 'one'],
    ['request.cookies.other', '3'],
    ['source.ip', '2001:db8::7'],
    ['tls.sni', 'tls.example'],
    ["request.headers['x-user'] + '@' + request.host", 'bob@shop.example'],
    ["request.path.split('/')[2]", 'v2'],
    ["request.headers[request.query['user'].substring(0, 0) + 'x-user']", 'bob'],
    ["has(request.headers.nothing) ? 'some' : 'none'", 'none'],
    ["{'/api': 'a', '/api/v2/carts': 'b'}[request.path]", 'b'],
    ["request.path.substring(request.path.indexOf('v'), 7)", 'v2'],
    ["request.path.substring(0, request.path.lastIndexOf('/')).upperAscii()", '/API/V2'],
    ["(' ' + request.method + ' ').trim().lowerAscii()", 'post'],
  ])('%s = %j', (cel, value) => expect(run(cel, 'string')).toEqual([value, 0]));

  test.each<[string, boolean]>([
    ['request.port == 443', true],
    ["'x-user' in request.headers", true],
    ["'x-other' in request.headers", false],
    ["'shop' in request.cookies && !('shop' in request.query)", true],
    ["request.headers['x-user'] in ['bob', 'eve']", true],
    ["request.path.startsWith('/api/') && !request.path.endsWith('.css')", true],
    ["request.path.matches('^/api/v[0-9]+/')", true],
    ["request.path.matches('^/API/')", false],
    // RE2's own: an engine of JavaScript does not take it.
    ["request.path.matches('(?i)^/API/')", true],
    ["request.path.contains('v2') || request.path.contains('v3')", true],
    ['size(request.path) > 5 && request.path.size() == 13', true],
    // An error on one side does not matter when the other decides.
    ["request.headers['nothing'] == 'x' || request.port == 443", true],
    ["int(request.query['X']) == 1 && double('1.5') > 1.0 && bool('true')", true],
    ["request.port >= 400 && request.port < 500 ? tls.sni != '' : false", true],
  ])('%s: %s', (cel, value) => expect(run(cel, 'bool')).toEqual([value, 0]));

  test('a second request is read anew', () => {
    const evaluate = compileCel({}, "request.headers['x-user']", 'string', compileRe2, () => undefined);
    expect(evaluate(facts(REQUEST))).toBe('bob');
    expect(evaluate(facts({ head: { 'x-user': 'eve' } }))).toBe('eve');
  });

  test('two expressions have each its own patterns', () => {
    const matches = (pattern: string) =>
      compileCel({}, `request.path.matches('${pattern}')`, 'bool', compileRe2, () => undefined);
    const [first, second] = [matches('^/api'), matches('^/other')];
    expect([first(facts(REQUEST)), second(facts(REQUEST)), first(facts(REQUEST))]).toEqual([true, false, true]);
  });
});

test.each([
  "request.headers['nothing']",
  "request.query['nothing'] + 'x'",
  "request.cookies['nothing']",
  "request.path.split('/')[9]",
  'request.path.substring(99)',
  "string(int(request.headers['x-user']))",
  'string(request.port / 0)',
  'string(9223372036854775807 + request.port)',
  "{'a': 'b'}[request.path]",
])('an error counts and gives nothing: %s', (cel) => expect(run(cel, 'string')).toEqual([undefined, 1]));

describe('refused', () => {
  test.each<[string, 'string' | 'bool', RegExp]>([
    ['', 'string', /EOF/],
    ['request.path +', 'string', /Unexpected token: EOF, at character 15/],
    ['request.patch', 'string', /No such key: patch, at character 9/],
    ['user', 'string', /Unknown variable: user/],
    ['request.path', 'bool', /gives string, not bool/],
    ['request.port', 'string', /gives int, not string/],
    ["request.path == '/'", 'string', /gives bool, not string/],
    ['request.path + request.port', 'string', /no such overload/],
    ['request', 'string', /`request` is no value/],
    ["request['path']", 'string', /`request` is no value/],
    ["string(size(request['headers']))", 'string', /`request` is no value/],
    ['tls.sni + tls', 'string', /`tls` is no value/],
    ['string(size(request.headers))', 'string', /`request.headers` is looked up by a name/],
    ['request.headers == request.query', 'bool', /is looked up by a name/],
    ["request.headers['X-User']", 'string', /`request.headers\['x-user'\]`/],
    ["'SHOP' in request.cookies", 'bool', /`request.cookies\['shop'\]`/],
    ["has(request.headers['x-user'])", 'bool', /`'x-user' in request.headers`/],
    ['has(request.patch)', 'bool', /names behind a dot/],
    ['has()', 'bool', /names behind a dot/],
    ['has(request.cookies.SHOP)', 'bool', /`request.cookies\['shop'\]`/],
    ["request.path.matches('(')", 'bool', /missing closing/],
    ["request.path.matches('a(?=b)')", 'bool', /perl|invalid/i],
    ["request.path.matches(request.headers['x-re'])", 'bool', /written here, in quotes/],
    ["request.path.contains(request.headers['x'])", 'bool', /written here, in quotes/],
    ["request.path.linearMatches('a')", 'bool', /there is no `linearMatches`/],
    ["request.path.split('/').exists(part, part == 'a')", 'bool', /`exists` loops/],
    ["['a', 'b'].all(a, ['a', 'b'].all(b, a == b))", 'bool', /`all` loops/],
    ["size(request.path.split('').map(a, a)) > 1", 'bool', /`map` loops/],
    ["size(request.path.split('').filter(a, true)) > 1", 'bool', /`filter` loops/],
    ["request.path.split('').join(request.path)", 'string', /there is no `join`/],
    ['cel.bind(x, request.path, x + x)', 'string', /there is no `bind`/],
    ['dyn(request.path)', 'string', /there is no `dyn`/],
    ["bytes('a') == b'a'", 'bool', /there is no `bytes`/],
    ["timestamp('2030-01-01T00:00:00Z').getFullYear() > 1", 'bool', /there is no `getFullYear`/],
    ["true ? 'a' : 1", 'string', /same type/],
    [`${'('.repeat(60)}request.path${')'.repeat(60)}`, 'string', /maxDepth/],
    [`${'request.path.trim()'}${'.trim()'.repeat(60)}`, 'string', /maxDepth/],
  ])('%s', (cel, kind, says) => expect(celProblem(cel, kind)).toMatch(says));

  test('whatever is written, the answer is a sentence', () => {
    const parts = fc.constantFrom(
      ...['request', '.path', "['a']", '(', ')', '+', '!', '-', '1', "'", 'has', ' in ', '{', ':', '?', '.matches('],
    );
    const texts = fc.oneof(
      fc.string(),
      fc.array(parts, { maxLength: 20 }).map((list) => list.join('')),
    );
    fc.assert(
      fc.property(texts, (cel) => {
        expect(celProblem(cel, 'string') ?? 'fine').toMatch(/\S/);
      }),
      { numRuns: 2000 },
    );
  });
});

describe('bounds', () => {
  const long = 'a'.repeat(16_000);
  const took = (cel: string, kind: 'string' | 'bool', request: Request): number => {
    const evaluate = compileCel({}, cel, kind, compileRe2, () => undefined);
    const began = performance.now();
    evaluate(facts(request));
    return performance.now() - began;
  };

  // With backtracking this takes longer than anybody waits: 2^16000 steps.
  test('a regular expression that backtracking engines never finish', () => {
    const head = { 'x-a': `${long}!` };
    expect(took("request.headers['x-a'].matches('^(a+)+$')", 'bool', { head })).toBeLessThan(500);
  });

  test('as many regular expressions as an expression has room for', () => {
    const one = "request.path.matches('(a|b|/)*[0-9]')||";
    const cel = one.repeat(Math.floor(1024 / one.length)).replace(/\|\|$/, '');
    expect(took(cel, 'bool', { path: `/${long}` })).toBeLessThan(5000);
  });

  test('a text joined to itself as often as there is room for', () => {
    const one = 'request.path+';
    const cel = one.repeat(Math.floor(1024 / one.length)).slice(0, -1);
    expect(took(cel, 'string', { path: `/${long}` })).toBeLessThan(500);
  });

  test('signs as deep as there is room for', () => {
    const cel = `${'!'.repeat(1000)}true`;
    expect(celProblem(cel, 'bool')).toBeUndefined();
    expect(run(cel, 'bool')).toEqual([true, 0]);
  });
});

test('the rules of a policy are compiled once, however many Services they are for', () => {
  let compiled = 0;
  const regex: RegexCompiler = (pattern, ignoreCase) => {
    compiled++;
    return compileRe2(pattern, ignoreCase);
  };
  const owner = {};
  for (let service = 0; service < 3; service++) {
    const evaluate = compileCel(owner, "request.path.matches('^/')", 'bool', regex, () => undefined);
    expect(evaluate(facts(REQUEST))).toBe(true);
  }
  expect(compiled).toBe(1);
});
