/**
 * How a large cluster fares, on the control plane of the end-to-end tests:
 * `npm run bench:scale -- [--small] [--json FILE]`.
 */
import { writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { runAtScale, table, type Plan } from '../test/e2e/support/scale/run.ts';

const FULL: Plan = {
  namespaces: 50,
  services: 5000,
  endpointsPerService: 10,
  policies: 1000,
  endpointChanges: 1000,
  series: 3000,
  rest: 35_000,
};
const SMALL: Plan = { ...FULL, namespaces: 10, services: 500, policies: 100, endpointChanges: 100, series: 300 };

const { values } = parseArgs({ options: { small: { type: 'boolean' }, json: { type: 'string' } } });
const plan = values.small === true ? SMALL : FULL;
const figures = await runAtScale(plan, (line) => process.stderr.write(`${line}\n`));
const machine = { cpus: cpus().length, model: cpus()[0]?.model, node: process.version };
process.stdout.write(table(figures));
for (const failure of [...figures.failures, ...figures.wrong].slice(0, 10)) process.stderr.write(`${failure}\n`);
if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify({ plan, machine, figures }, null, 2)}\n`);
process.exitCode = figures.failures.length + figures.wrong.length === 0 ? 0 : 1;
