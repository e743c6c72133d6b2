/**
 * Holdfast beside other proxies, scenario by scenario: `npm run bench -- [SCENARIO…] [--rounds N] [--seconds N] [--quick]
 * [--json FILE] [--docs]`.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { SCENARIOS } from './scenarios/all.ts';
import { stopAll } from './support/child.ts';
import { summarize } from './support/figures.ts';
import { Lab, type Effort, type Scenario } from './support/lab.ts';
import { machineFacts, missingPrograms } from './support/machine.ts';
import type { Facts } from './support/machine.ts';
import { textOf, withSection } from './support/report.ts';
import type { Omission, Report } from './support/report.ts';

const PAGE = join(import.meta.dirname, '../docs/benchmarks.md');
const QUICK = { rounds: 1, seconds: 2 };

interface Options extends Effort {
  readonly scenarios: readonly Scenario[];
  readonly json: string | undefined;
  /** Also put the tables into docs/benchmarks.md. */
  readonly docs: boolean;
}

interface Result {
  readonly name: string;
  readonly reports: readonly (Report | Omission)[];
}

function readOptions(): Options {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      rounds: { type: 'string' },
      seconds: { type: 'string' },
      quick: { type: 'boolean', default: false },
      json: { type: 'string' },
      docs: { type: 'boolean', default: false },
    },
  });
  const { quick, json, docs } = values;
  const number = (name: 'rounds' | 'seconds', otherwise: number) =>
    positive(name, values[name] ?? String(quick ? QUICK[name] : otherwise));
  const scenarios = positionals.length === 0 ? SCENARIOS : positionals.map(scenarioOf);
  return { scenarios, rounds: number('rounds', 5), seconds: number('seconds', 5), quick, json, docs };
}

function positive(name: string, text: string): number {
  const number = Number(text);
  if (Number.isFinite(number) && number > 0) return Math.ceil(number);
  throw new Error(`--${name} ${JSON.stringify(text)} is not allowed; write a number above 0`);
}

function scenarioOf(name: string): Scenario {
  const scenario = SCENARIOS.find((one) => one.name === name);
  if (scenario !== undefined) return scenario;
  const lines = SCENARIOS.map((one) => `  ${one.name.padEnd(12)} ${one.about}`);
  throw new Error(`${JSON.stringify(name)} is no scenario; write some of these, or none for all:\n${lines.join('\n')}`);
}

/** With proxies of its own; undefined = it failed, and the others are to go on. */
async function runOne({ name, about, run }: Scenario, lab: Lab): Promise<Result | undefined> {
  console.log(`\n== ${name}: ${about}`);
  try {
    const reports = await run(lab);
    for (const report of reports) console.log(`\n${textOf(report)}`);
    return { name, reports };
  } catch (error) {
    console.error(`${name} failed: ${error instanceof Error ? error.message : String(error)}`);
    return undefined;
  } finally {
    await stopAll();
  }
}

function jsonOf(machine: Facts, results: readonly Result[]): string {
  const withMedians = (report: Report | Omission) =>
    'reason' in report ? report : { ...report, summaries: summarize(report.rounds, report.us) };
  const scenarios = results.map(({ name, reports }) => ({ name, reports: reports.map(withMedians) }));
  return `${JSON.stringify({ machine, scenarios }, null, 2)}\n`;
}

function writeDocs(machine: Facts, { rounds, seconds }: Effort, results: readonly Result[]): void {
  const facts = Object.entries(machine).map(([name, value]) => `${name} ${value}`);
  let page = readFileSync(PAGE, 'utf8');
  for (const { name, reports } of results) {
    const command = `npm run bench -- ${name} --rounds ${rounds} --seconds ${seconds}`;
    const text = [`\`${command}\`; ${facts.join(', ')}.`, ...reports.map(textOf)].join('\n\n');
    page = withSection(page, `bench: ${name}`, `\n${text}\n`);
  }
  writeFileSync(PAGE, page);
}

/** The exit code. */
async function main(options: Options): Promise<number> {
  const programs = [...new Set(['taskset' as const, ...options.scenarios.flatMap((scenario) => scenario.programs)])];
  const missing = missingPrograms(programs);
  if (missing !== undefined) {
    console.error(missing);
    return 2;
  }
  const dir = mkdtempSync(join(tmpdir(), 'holdfast-bench-'));
  process.once('exit', () => rmSync(dir, { recursive: true, force: true }));
  const lab = new Lab(dir, options);
  const results: Result[] = [];
  for (const scenario of options.scenarios) {
    const result = await runOne(scenario, lab);
    if (result !== undefined) results.push(result);
  }
  const machine = machineFacts(programs);
  if (options.json !== undefined) writeFileSync(options.json, jsonOf(machine, results));
  if (options.docs) writeDocs(machine, options, results);
  return results.length === options.scenarios.length ? 0 : 1;
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));
try {
  process.exitCode = await main(readOptions());
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 2;
}
