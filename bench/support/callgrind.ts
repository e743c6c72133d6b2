/** What callgrind counted in one thread, by function: compiled code gets its name from the map that V8 writes. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

export interface Counted {
  /** Instructions. */
  readonly count: number;
  readonly kind: 'compiled' | 'V8 builtins' | 'native';
  readonly name: string;
}

interface Range {
  readonly from: number;
  readonly to: number;
  readonly name: string;
}

/** Most first. `profile`: callgrind's file; `map`: V8's, of lines `START SIZE NAME` in hexadecimal. */
export function readProfile(profile: string, map: string): Counted[] {
  const ranges = readRanges(map);
  const byName = new Map<string, Counted>();
  const text = execFileSync('callgrind_annotate', ['--threshold=100', profile], {
    encoding: 'utf8',
    maxBuffer: 1 << 28,
  });
  for (const [, digits = '', found = ''] of text.matchAll(/^ *([\d,]+) \( *[\d.]+%\) +[^:\n]+:(.+)$/gm)) {
    const count = Number(digits.replaceAll(',', ''));
    const one = nameOf(found, ranges);
    byName.set(one.name, { ...one, count: count + (byName.get(one.name)?.count ?? 0) });
  }
  return [...byName.values()].sort((a, b) => b.count - a.count);
}

/** Those written last first: code that is gone may have stood in the same place. */
function readRanges(map: string): Range[] {
  const lines = readFileSync(map, 'utf8').trimEnd().split('\n').reverse();
  return lines.map((line) => {
    const [start = '', size = '', ...name] = line.split(' ');
    const from = parseInt(start, 16);
    return { from, to: from + parseInt(size, 16), name: name.join(' ') };
  });
}

function nameOf(found: string, ranges: readonly Range[]): Omit<Counted, 'count'> {
  // Behind the name stands the file that it is of.
  const name = found.replace(/ \[[^\]]*\]$/, '');
  if (name.startsWith('Builtins_')) return { kind: 'V8 builtins', name };
  if (!name.startsWith('0x')) return { kind: 'native', name };
  const address = Number(name);
  const range = ranges.find(({ from, to }) => from <= address && address < to);
  if (range === undefined) return { kind: 'native', name };
  return { kind: 'compiled', name: range.name.replace(/file:\/\/\S*?\/src\//, 'src/') };
}
