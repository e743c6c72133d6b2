/** A measurement's figures as a Markdown table, and the section of a page that they stand in. */
import type { Sample, Spread } from './figures.ts';
import { summarize } from './figures.ts';

export interface Question {
  readonly title: string;
  /** What `figure` of its samples is. */
  readonly unit: string;
  /** The peer whose figure is divided by the others'; undefined = they are not compared. */
  readonly us?: string;
  /** By peer: what the ratio to it should be, such as `≥ 1.0`, or where nothing is compared its own figure. */
  readonly goals: Readonly<Record<string, string>>;
}

export interface Report extends Question {
  readonly rounds: readonly (readonly Sample[])[];
}

/** What could not be measured, and why. */
export interface Omission {
  readonly title: string;
  readonly reason: string;
}

export function textOf(report: Report | Omission): string {
  if ('reason' in report) return `**${report.title}**: not measured, ${report.reason}`;
  return `**${report.title}**\n\n${tableOf(report)}`;
}

function tableOf({ unit, us, goals, rounds }: Report): string {
  const summaries = summarize(rounds, us);
  const columns = Object.keys(summaries[0]?.more ?? {});
  const head = ['', unit, 'least–most', ...columns, ...(us === undefined ? [] : [`${us} ÷ it`]), 'goal'];
  const rows = summaries.map(({ peer, figure, more, ratio }) => [
    peer,
    short(figure.median),
    `${short(figure.least)}–${short(figure.most)}`,
    ...columns.map((name) => short(more[name] ?? NaN)),
    ...(us === undefined ? [] : [peer === us ? '' : ratioText(ratio)]),
    goals[peer] ?? '',
  ]);
  return [head, head.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |`).join('\n');
}

function ratioText({ median, least, most }: Spread): string {
  return Number.isNaN(median) ? '–' : `${median.toFixed(2)} (${least.toFixed(2)}–${most.toFixed(2)})`;
}

/** At least three digits that mean something. */
function short(value: number): string {
  if (!Number.isFinite(value)) return '–';
  return value.toFixed(Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2);
}

const END = '<!-- end -->';

/** Replaces what stands between the comments that name the section; one that the page lacks comes before `<!-- end -->`. */
export function withSection(page: string, name: string, text: string): string {
  const [open, close] = [`<!-- ${name} -->`, `<!-- /${name} -->`];
  const section = `${open}\n${text}\n${close}`;
  const from = page.indexOf(open);
  const to = page.indexOf(close, from);
  if (from >= 0 && to >= 0) return page.slice(0, from) + section + page.slice(to + close.length);
  if (!page.includes(END)) throw new Error(`the page has neither ${open} nor ${END}`);
  return page.replace(END, () => `${section}\n\n${END}`);
}
