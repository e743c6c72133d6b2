/** Reads the Prometheus text format as far as the tests need it, and strictly: a line that is not understood fails. */

export type Labels = Readonly<Record<string, string>>;

interface Sample {
  readonly name: string;
  readonly labels: Labels;
  readonly value: number;
}

const LINE = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$/;
const LABEL = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"(?:,|$)/y;

export class Metrics {
  readonly #samples: readonly Sample[];

  constructor(text: string) {
    const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
    this.#samples = lines.map(parseLine);
  }

  get names(): ReadonlySet<string> {
    return new Set(this.#samples.map(({ name }) => name));
  }

  /** All samples of that name that have these labels, perhaps among others. */
  all(name: string, labels: Labels = {}): readonly Sample[] {
    return this.#samples.filter(
      (sample) =>
        sample.name === name && Object.entries(labels).every(([label, value]) => sample.labels[label] === value),
    );
  }

  /** The one sample; 0 when there is none, since counters appear with their first increment. Several = an error. */
  value(name: string, labels: Labels = {}): number {
    const found = this.all(name, labels);
    if (found.length > 1) throw new Error(`${found.length} samples of ${name} have ${JSON.stringify(labels)}`);
    return found[0]?.value ?? 0;
  }

  sum(name: string, labels: Labels = {}): number {
    return this.all(name, labels).reduce((sum, { value }) => sum + value, 0);
  }

  /** Sums by the value of one label. */
  by(label: string, name: string, labels: Labels = {}): Record<string, number> {
    const sums: Record<string, number> = {};
    for (const { labels: own, value } of this.all(name, labels)) {
      const key = own[label] ?? '';
      sums[key] = (sums[key] ?? 0) + value;
    }
    return sums;
  }
}

function parseLine(line: string): Sample {
  const [, name, body = '', number = ''] = LINE.exec(line) ?? [];
  if (name === undefined) throw new Error(`not a sample: ${line}`);
  const value = number === '+Inf' ? Infinity : Number(number);
  if (Number.isNaN(value) && number !== 'NaN' && number !== 'Nan') throw new Error(`not a number: ${line}`);
  return { name, labels: parseLabels(body, line), value };
}

function parseLabels(body: string, line: string): Labels {
  const labels: Record<string, string> = {};
  LABEL.lastIndex = 0;
  let at = 0;
  while (at < body.length) {
    const match = LABEL.exec(body);
    if (match === null) throw new Error(`bad labels: ${line}`);
    labels[match[1] ?? ''] = JSON.parse(`"${match[2] ?? ''}"`) as string;
    at = LABEL.lastIndex;
  }
  return labels;
}
