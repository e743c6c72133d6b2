/** A tenth of the benchmark's cluster: every host is answered by its own pods, changes go live one after another, no request fails. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { run } from './support/kube.ts';
import { runAtScale, table, type Figures } from './support/scale/run.ts';

/** Generous: the goals are for a machine of its own, and `npm run bench:scale` measures them. These find what hangs. */
const LIMITS = { p99: 500, ready: 20, compile: 1 };

let figures: Figures;

beforeAll(async () => {
  const plan = {
    namespaces: 10,
    services: 500,
    endpointsPerService: 10,
    policies: 100,
    endpointChanges: 100,
    series: 300,
    rest: 0,
  };
  figures = await runAtScale(plan, (line) => process.stdout.write(`${line}\n`));
  process.stdout.write(`\n${table(figures)}`);
}, 240_000);

afterAll(async () => {
  await run('helm', ['uninstall', 'holdfast', '-n', 'holdfast', '--ignore-not-found']);
});

test('every host is answered by a pod of its own Service', () => {
  expect(figures.wrong).toEqual([]);
});

test('300 Ingresses created one after another under traffic: no failed request on the others, no session moved', () => {
  expect(figures.requests).toBeGreaterThan(1000);
  expect(figures.failures).toEqual([]);
  expect(figures.ingresses.count).toBe(300);
  expect(figures.ingresses.p99).toBeLessThan(LIMITS.p99);
});

test('endpoint changes go live one after another', () => {
  expect(figures.endpoints.count).toBe(100);
  expect(figures.endpoints.p99).toBeLessThan(LIMITS.p99);
});

test('it starts with all of it in a short while', () => {
  expect(figures.ready).toBeLessThan(LIMITS.ready);
  expect(figures.compile).toBeLessThan(LIMITS.compile);
});
