/** The pages for people who come from other products: what they show is accepted, and no behaviour is left out. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { project } from '../../../src/api/project.ts';
import { ROOT } from '../cli/run-cli.ts';

const DOCS = join(ROOT, 'docs');
const FOLDER = join(DOCS, 'coming-from');

const pages = (folder: string) =>
  readdirSync(folder)
    .filter((name) => name.endsWith('.md'))
    .map((name) => [name, readFileSync(join(folder, name), 'utf8')] as const);

/** The YAML blocks of a page, with the number of their first line. */
function blocks(text: string): (readonly [line: number, yaml: string])[] {
  return [...text.matchAll(/^```yaml\n([\s\S]*?)^```$/gm)].map(
    (match) => [text.slice(0, match.index).split('\n').length + 1, match[1] ?? ''] as const,
  );
}

const EXAMPLES = [...pages(FOLDER), ...pages(DOCS)]
  .flatMap(([name, text]) =>
    blocks(text)
      .filter(([, yaml]) => yaml.includes('kind: StickyPolicy'))
      .flatMap(([line, yaml]) =>
        parseAllDocuments(yaml).map((document) => [name, line, document.toJS() as object] as const),
      ),
  )
  .filter(([, , object]) => 'kind' in object && object.kind === 'StickyPolicy');

test.each(EXAMPLES)('the policy at %s:%i is accepted as it stands', (_name, _line, object) => {
  expect(project(object)?.problems).toEqual([]);
});

test('every page shows some, and every YAML block there is a whole policy', () => {
  for (const [name, text] of pages(FOLDER)) {
    const all = blocks(text);
    expect([name, all.length >= 2]).toEqual([name, true]);
    expect(EXAMPLES.filter(([page]) => page === name).length).toBe(all.length);
  }
});

describe('every behaviour stands on its page once', () => {
  test.each([
    ['haproxy.md', 'H', 22],
    ['f5.md', 'F', 36],
    ['nginx-and-tengine.md', 'T', 20],
    ['lvs.md', 'L', 25],
  ] as const)('%s', (name, letter, count) => {
    const text = readFileSync(join(FOLDER, name), 'utf8');
    const rows = [...text.matchAll(/^\| ([A-Z]\d+) \|/gm)].map(([, id]) => id);
    const wanted = Array.from({ length: count }, (_, i) => `${letter}${i + 1}`);
    expect(rows.toSorted()).toEqual(wanted.toSorted());
  });
});
