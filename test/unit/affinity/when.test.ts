/** Tests of a rule's `when`. */
import { describe, expect, test } from 'vitest';
import { compileWhen } from '../../../src/affinity/when.ts';
import type { When } from '../../../src/model/sticky-policy.ts';
import { compileRe2 } from '../../../src/rules/re2.ts';
import { facts } from './fixtures.ts';

const holds = (when: When, request: Parameters<typeof facts>[0] = {}) =>
  compileWhen(when, compileRe2, () => undefined)?.(facts(request)) ?? true;

describe('when', () => {
  test.each<[When, Parameters<typeof facts>[0], boolean]>([
    [{}, {}, true],
    [{ hosts: [] }, {}, true],
    [{ hosts: ['Shop.example'] }, { host: 'shop.example' }, true],
    [{ hosts: ['*.example'] }, { host: 'shop.example' }, true],
    [{ hosts: ['*.example'] }, { host: 'a.shop.example' }, false],
    [{ hosts: ['*.example'] }, { host: 'example' }, false],
    [{ hosts: ['*.example'] }, { host: '' }, false],
    [{ pathPrefixes: ['/a', '/b'] }, { path: '/bcd' }, true],
    [{ pathPrefixes: ['/a'] }, { path: '/A' }, false],
    [{ pathPrefixes: ['/a'], ignoreCase: true }, { path: '/AB' }, true],
    [{ pathSuffixes: ['.gif', '.PNG'], ignoreCase: true }, { path: '/x.png' }, true],
    [{ pathSuffixes: ['.gif'] }, { path: '/x.gif', query: 'y' }, true],
    [{ pathSuffixes: ['.gif'] }, { path: '/x', query: 'y.gif' }, false],
    [{ pathRegex: '/v\\d/' }, { path: '/api/v2/x' }, true],
    [{ pathRegex: '^/v' }, { path: '/api/v2' }, false],
    [{ methods: ['POST', 'PUT'] }, { method: 'PUT' }, true],
    [{ methods: ['POST'] }, { method: 'post' }, false],
    [{ headers: [{ name: 'X-A', value: '1' }] }, { head: { 'x-a': '1' } }, true],
    [{ headers: [{ name: 'X-A', value: '1' }] }, { head: { 'x-a': '2' } }, false],
    [{ headers: [{ name: 'x-a', regex: '^b' }] }, { headers: () => ['a', 'b2'] }, true],
    [{ headers: [{ name: 'x-a' }] }, { head: { 'x-a': '' } }, true],
    [{ headers: [{ name: 'x-a', present: false }] }, {}, true],
    [{ headers: [{ name: 'x-a', present: false }] }, { head: { 'x-a': '' } }, false],
    [{ cookies: [{ name: 'c', value: '2' }] }, { cookie: 'c=1; c=2' }, true],
    [{ cookies: [{ name: 'c', present: true }] }, { cookie: 'd=1' }, false],
    [{ query: [{ name: 'q', regex: 'x$' }] }, { query: 'q=1&q=ax' }, true],
    [{ sourceCIDRs: ['10.0.0.0/8', '192.0.2.0/24'] }, {}, true],
    [{ sourceCIDRs: ['10.0.0.0/8'] }, {}, false],
    [{ sourceCIDRs: ['0.0.0.0/0'] }, { clientAddress: 'unix' }, false],
    [{ ports: [80, 443] }, { port: 443 }, true],
    [{ ports: [80, 443] }, { port: 8080 }, false],
    [{ hosts: ['shop.example'], methods: ['POST'] }, {}, false],
    [{ not: { methods: ['GET'] } }, {}, false],
    [{ not: { methods: ['GET'], pathPrefixes: ['/x'] } }, { path: '/y' }, true],
    [{ hosts: ['shop.example'], not: { pathPrefixes: ['/x'] } }, { path: '/x' }, false],
  ])('%j with %j: %s', (when, request, expected) => expect(holds(when, request)).toBe(expected));
});
