/** Host and path look-up. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { HostIndex, PathIndex } from '../../../src/match/router.ts';
import type { PathType } from '../../../src/model/resources.ts';
import type { Route, VirtualHost } from '../../../src/model/table.ts';

type Entry = readonly [PathType, string];

function indexOf(...entries: readonly Entry[]): PathIndex<string> {
  return new PathIndex(entries.map(([pathType, path]) => ({ path, pathType, value: `${pathType} ${path}` })));
}

function route(service: string, path = '/'): Route {
  return { namespace: 'ns', ingress: 'i', path, pathType: 'Prefix', service, pool: undefined, affinity: undefined };
}

function virtualHost(host: string, service: string, options: { path?: string; fallback?: string } = {}): VirtualHost {
  const fallback = options.fallback === undefined ? undefined : route(options.fallback);
  return { host, routes: [route(service, options.path)], fallback };
}

const byService = (r: Route): string => r.service;

describe('PathIndex', () => {
  it.each<[readonly Entry[], string, string | undefined]>([
    [[['Prefix', '/']], '/any/thing', 'Prefix /'],
    [[['Exact', '/foo']], '/foo', 'Exact /foo'],
    [[['Exact', '/foo']], '/foo/', undefined],
    [[['Exact', '/foo/']], '/foo', undefined],
    [[['Prefix', '/foo/']], '/foo', 'Prefix /foo/'],
    [[['Prefix', '/foo']], '/foo/', 'Prefix /foo'],
    [[['Prefix', '/foo']], '/foobar', undefined],
    [[['ImplementationSpecific', '/foo']], '/foobar', 'ImplementationSpecific /foo'],
    [[['ImplementationSpecific', '/foo/']], '/foo', undefined],
    [
      [
        ['Prefix', '/a'],
        ['Prefix', '/a/b'],
      ],
      '/a/b/c',
      'Prefix /a/b',
    ],
    [
      [
        ['Prefix', '/a'],
        ['Prefix', '/a/b'],
      ],
      '/a/bc',
      'Prefix /a',
    ],
    [
      [
        ['Prefix', '/foo'],
        ['Exact', '/foo'],
      ],
      '/foo',
      'Exact /foo',
    ],
    [
      [
        ['ImplementationSpecific', '/foo'],
        ['Prefix', '/foo'],
      ],
      '/foo/x',
      'Prefix /foo',
    ],
    [
      [
        ['ImplementationSpecific', '/foo'],
        ['Prefix', '/foo'],
      ],
      '/foox',
      'ImplementationSpecific /foo',
    ],
    [
      [
        ['ImplementationSpecific', '/foo/ba'],
        ['Prefix', '/foo'],
      ],
      '/foo/bar',
      'ImplementationSpecific /foo/ba',
    ],
    [
      [
        ['ImplementationSpecific', '/'],
        ['Prefix', '/'],
      ],
      '/x',
      'Prefix /',
    ],
    [[['ImplementationSpecific', '/']], '/x', 'ImplementationSpecific /'],
    [[['Prefix', '/caf%c3%a9']], '/caf%C3%A9/x', 'Prefix /caf%c3%a9'],
    [[], '/', undefined],
  ])('%j: %s leads to %s', (entries, path, expected) => {
    expect(indexOf(...entries).find(path)).toBe(expected);
  });

  it('agrees with a plain search over all entries', () => {
    const path = fc
      .array(fc.constantFrom('a', 'b', 'ab', 'a/', '/', 'b/'), { maxLength: 6 })
      .map((p) => `/${p.join('')}`.replace(/\/+/g, '/'));
    const entry = fc.tuple(fc.constantFrom<PathType>('Exact', 'Prefix', 'ImplementationSpecific'), path);
    fc.assert(
      fc.property(
        fc.uniqueArray(entry, { selector: ([t, p]) => `${t} ${t === 'Prefix' ? bare(p) : p}` }),
        path,
        (entries, asked) => {
          expect(indexOf(...entries).find(asked)).toBe(naive(entries, asked));
        },
      ),
      { numRuns: 2000 },
    );
  });
});

function bare(path: string): string {
  return path.endsWith('/') ? path.slice(0, -1) : path;
}

function naive(entries: readonly Entry[], asked: string): string | undefined {
  const rank = { Exact: 2, Prefix: 1, ImplementationSpecific: 0 };
  const length = ([type, path]: Entry): number => (type === 'Prefix' ? Math.max(bare(path).length, 1) : path.length);
  const matches = entries.filter(([type, path]) => {
    if (type === 'Exact') return asked === path;
    if (type === 'ImplementationSpecific') return asked.startsWith(path);
    return asked === bare(path) || asked.startsWith(`${bare(path)}/`);
  });
  // An exact match is the whole path, so nothing is longer.
  const best = matches.sort((a, b) => {
    if ((a[0] === 'Exact') !== (b[0] === 'Exact')) return a[0] === 'Exact' ? -1 : 1;
    return length(b) - length(a) || rank[b[0]] - rank[a[0]];
  })[0];
  return best && `${best[0]} ${best[1]}`;
}

describe('HostIndex', () => {
  it('knows whose certificates the clients of a host are asked for: those of its own routes', () => {
    const asking = (service: string, authorities: string): Route => ({
      ...route(service),
      clientVerification: { authorities, mode: 'on' },
    });
    const index = HostIndex.build(
      [
        { host: 'a.example', routes: [route('a'), asking('b', 'first')], fallback: undefined },
        { host: 'b.example', routes: [route('a')], fallback: asking('b', 'second') },
        { host: '*.example', routes: [asking('a', 'third')], fallback: undefined },
        { host: 'c.example', routes: [route('a')], fallback: undefined },
      ],
      asking('rest', 'fourth'),
      byService,
    );
    const asked = ['a.example', 'b.example', 'x.example', 'c.example', 'nobody', ''].map((host) =>
      index.authoritiesOf(host),
    );
    expect(asked).toEqual(['first', 'second', 'third', undefined, 'fourth', 'fourth']);
    const hostless = index.withHosts([{ host: '', routes: [route('none')], fallback: undefined }], []);
    expect(hostless.authoritiesOf('nobody')).toBeUndefined();
    expect(index.withFallback(undefined).authoritiesOf('nobody')).toBeUndefined();
  });

  const hosts = [
    virtualHost('a.example', 'exact', { path: '/x', fallback: 'exact-fallback' }),
    virtualHost('b.example', 'b', { path: '/x' }),
    virtualHost('*.example', 'wild', { path: '/x' }),
    virtualHost('', 'none', { path: '/x' }),
  ];
  const index = HostIndex.build(hosts, route('global'), byService);

  it.each([
    ['a.example', '/x', 'exact'],
    ['a.example', '/y', 'exact-fallback'],
    ['b.example', '/y', 'global'],
    ['c.example', '/x', 'wild'],
    ['c.example', '/y', 'global'],
    ['d.c.example', '/x', 'none'],
    ['example', '/x', 'none'],
    ['.example', '/x', 'none'],
    ['', '/x', 'none'],
    ['', '/y', 'global'],
    ['*.example', '/x', 'wild'],
  ])('%s %s leads to %s', (host, path, expected) => {
    expect(index.find(host, path)).toBe(expected);
  });

  it('finds nothing without a global fallback', () => {
    expect(HostIndex.build(hosts.slice(0, 1), undefined, byService).find('z.example', '/')).toBeUndefined();
  });

  it('withHosts changes, adds and removes hosts, maps only those, and leaves the old index as it was', () => {
    const mapped: string[] = [];
    const next = index.withHosts(
      [virtualHost('a.example', 'new'), virtualHost('*.other', 'wild2')],
      ['b.example', ''],
      (r, host) => {
        mapped.push(host);
        return r.service;
      },
    );
    expect(mapped).toEqual(['a.example', '*.other']);
    expect(next.find('a.example', '/z')).toBe('new');
    expect(next.find('b.example', '/x')).toBe('wild');
    expect(next.find('q.other', '/')).toBe('wild2');
    expect(next.find('nowhere', '/x')).toBe('global');
    expect(index.find('a.example', '/x')).toBe('exact');
    expect(index.find('nowhere', '/x')).toBe('none');
    expect(next.withFallback(undefined).find('nowhere', '/x')).toBeUndefined();
  });
});
