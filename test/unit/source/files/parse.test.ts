/** Manifest files to raw objects with their lines. */
import { describe, expect, it } from 'vitest';
import { placeOf } from '../../../../src/model/lines.ts';
import { parseManifest } from '../../../../src/source/files/parse.ts';

function placesOf(text: string): unknown {
  const parsed = parseManifest(text, 'f.yaml');
  if ('fault' in parsed) return `fault at line ${parsed.fault.location.line}`;
  return parsed.objects.map(({ raw, location }) => [(raw as { a?: unknown }).a ?? raw, location.line]);
}

describe('parseManifest', () => {
  it.each<[string, string, unknown]>([
    [
      'documents',
      'a: 1\n---\n# comment\na: 2\n',
      [
        [1, 1],
        [2, 4],
      ],
    ],
    ['empty documents', '---\n---\n# nothing\n---\na: 1\n---\nnull\n', [[1, 5]]],
    ['nothing', '', []],
    ['a comment', '# nothing\n', []],
    ['JSON', '{\n "a": 1\n}', [[1, 1]]],
    [
      'a List',
      'apiVersion: v1\nkind: List\nitems:\n- a: 1\n- a: 2\n',
      [
        [1, 4],
        [2, 5],
      ],
    ],
    ['a List of Lists', '{kind: List, items: [\n{kind: List, items: [\n{a: 1}]}]}', [[1, 3]]],
    ['a text', 'hello', [['hello', 1]]],
    ['a syntax error', 'a: 1\n---\na: [1\nb: 2\n', 'fault at line 4'],
    ['a key twice', 'a: 1\na: 2\n', 'fault at line 2'],
    ['a tab', 'a:\n\tb: 1\n', 'fault at line 2'],
    ['an unknown alias, at its document', 'a: 1\n---\nb: *nowhere\n', 'fault at line 3'],
  ])('%s', (_, text, places) => {
    expect(placesOf(text)).toEqual(places);
  });

  it('completes the items of a typed list', () => {
    const parsed = parseManifest('{apiVersion: v1, kind: ServiceList, items: [{metadata: {name: a}}]}', 'f');
    expect('objects' in parsed && parsed.objects.map(({ raw }) => raw)).toEqual([
      { apiVersion: 'v1', kind: 'Service', metadata: { name: 'a' } },
    ]);
  });

  it('faults a file whose aliases multiply without end', () => {
    const bomb = ['a: &a [x, x, x, x, x, x, x, x, x, x]'];
    for (const [name, of] of ['ba', 'cb', 'dc', 'ed'].map((pair) => [pair[0], pair[1]])) {
      bomb.push(`${name}: &${name} [${Array.from({ length: 10 }, () => `*${of}`).join(', ')}]`);
    }
    expect(placesOf(bomb.join('\n'))).toBe('fault at line 1');
  });

  it('knows the line of every field, or of the nearest one around it', () => {
    const text = `# comment
kind: Ingress
metadata:
  annotations:
    a.b/c-d: x
spec:
  rules:
  - host: a.example
    http: {paths: [{path: /},
      {path: /b}]}
  -
    host: b.example
  twice: [1]
`;
    const parsed = parseManifest(`---\na: 1\n---\n${text}`, 'f.yaml');
    const object = 'objects' in parsed ? parsed.objects[1] : undefined;
    if (object === undefined) throw new Error('no object');
    const line = (field: string): number => placeOf(object.location, object.lines, field).line - 3;
    expect(line('')).toBe(2);
    expect(line('kind')).toBe(2);
    expect(line('status.missing')).toBe(2);
    expect(line('metadata.annotations[a.b/c-d]')).toBe(5);
    expect(line('metadata.annotations[a.b/missing]')).toBe(4);
    expect(line('spec.rules[0].host')).toBe(8);
    expect(line('spec.rules[0].http.paths[0].path')).toBe(9);
    expect(line('spec.rules[0].http.paths[1].backend.service.name')).toBe(10);
    expect(line('spec.rules[1]')).toBe(12);
    expect(line('spec.rules[7].host')).toBe(7);
    expect(line('spec.twice[0]')).toBe(13);
  });

  it('an alias stands where it is written; items of a List have their own lines', () => {
    const parsed = parseManifest('kind: List\nitems:\n- a: &x\n    b: 1\n- c:\n    d: *x\n', 'f.yaml');
    const second = 'objects' in parsed ? parsed.objects[1] : undefined;
    if (second === undefined) throw new Error('no object');
    expect(placeOf(second.location, second.lines, 'c.d.b')).toEqual({ file: 'f.yaml', line: 6 });
    expect(placeOf(second.location, second.lines, 'c')).toEqual({ file: 'f.yaml', line: 5 });
  });
});
