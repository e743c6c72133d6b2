/** Holds docs/reference/behaviours.md to what has run: the parts that the reporter and the page's own test share. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '../unit/cli/run-cli.ts';

const PAGE = join(ROOT, 'docs/reference/behaviours.md');

export interface NamedTest {
  /** Of the behaviour, such as `L3` or `Tengine T7`. */
  readonly row: string;
  /** From the root, with its ending. */
  readonly file: string;
  /** Of the test, or of a suite all of whose tests are meant. */
  readonly title: string;
}

export interface Row {
  readonly id: string;
  readonly field: string;
  readonly tests: readonly NamedTest[];
}

export function rows(): Row[] {
  const lines = readFileSync(PAGE, 'utf8').matchAll(/^\| ((?:Tengine )?[A-Z]\d+) \| (.*?) \| (.*) \|$/gm);
  return [...lines].map(([, id = '', field = '', cell = '']) => ({ id, field, tests: testsOf(id, cell) }));
}

function testsOf(row: string, cell: string): NamedTest[] {
  if (cell === '–') return [];
  return cell.split('<br>').map((text) => {
    const [, file = '', title = ''] = /^`([^`]+)` (.+)$/.exec(text) ?? [];
    return { row, file: `test/${file}.test.ts`, title };
  });
}
