/** A run at a given scale, from an empty cluster to the figures; what the benchmark and the test have in common. */
import { readFileSync } from 'node:fs';
import { Controller } from '../controller.ts';
import { api, CHART, established, eventually, helm, kubectl, pause } from '../kube.ts';
import { servePods } from './line.ts';
import { create, measureEndpoints, measureIngresses, Traffic, wrongHosts, type Times } from './measure.ts';
import { namespacesOf, objectsOf, type Size } from './world.ts';

export interface Plan extends Size {
  readonly endpointChanges: number;
  /** Ingresses created one after another. */
  readonly series: number;
  /** ms after the first statuses until memory is read: the controller collects what its start has left half a minute after it. */
  readonly rest: number;
}

export interface Figures {
  /** s from the start of the process until it serves everything. */
  readonly ready: number;
  /** s, of everything. */
  readonly compile: number;
  /** MiB, all threads: at rest, at most until then, and after everything. */
  readonly rss: number;
  readonly rssPeak: number;
  readonly rssEnd: number;
  readonly endpoints: Times;
  readonly ingresses: Times;
  /** Share of all changes that the controller itself saw live in every worker within 20 ms. */
  readonly within20ms: number;
  readonly requests: number;
  readonly failures: readonly string[];
  /** Hosts that were not answered by a pod of their own. */
  readonly wrong: readonly string[];
}

const PARALLEL = 16;
const CLIENTS = 8;
const PACE_MS = 5;

export async function runAtScale(plan: Plan, tell: (line: string) => void): Promise<Figures> {
  const set = ['--set', 'replicas=1', '--set', 'publish.addresses={192.0.2.10}'];
  await helm(['install', 'holdfast', CHART, '-n', 'holdfast', '--create-namespace', ...set]);
  await established('stickypolicies.holdfast.dev');
  await kubectl(['-n', 'holdfast', 'rollout', 'status', 'deployment/holdfast', '--timeout=60s']);
  const pods = await servePods();
  const began = performance.now();
  await create(namespacesOf(plan), PARALLEL);
  await create(objectsOf(plan), PARALLEL);
  tell(`objects created in ${seconds(began)} s`);

  const started = performance.now();
  const [controller] = await Controller.startAll('holdfast');
  if (controller === undefined) throw new Error('the chart has no replica');
  const ready = (performance.now() - started) / 1000;
  try {
    return { ready, ...(await measure(controller, plan, tell)) };
  } finally {
    await controller.stop();
    pods.close();
  }
}

async function measure(
  controller: Controller,
  plan: Plan,
  tell: (line: string) => void,
): Promise<Omit<Figures, 'ready'>> {
  const { address } = controller;
  const compile = await metric(controller, 'holdfast_config_compile_seconds');
  tell('ready; waiting for the status of all Ingresses');
  await statusWritten(plan.services);
  await pause(plan.rest);
  const rss = memory(controller, 'VmRSS');
  const rssPeak = memory(controller, 'VmHWM');
  const wrong = await wrongHosts(address, plan.services, plan);
  tell(`${rss} MiB at rest, ${rssPeak} MiB at most`);

  const before = await propagation(controller);
  const traffic = Traffic.start(address, CLIENTS, PACE_MS, plan);
  const ingresses = await measureIngresses(address, plan.series, plan);
  await traffic.stop();
  tell(`Ingresses: p99 ${ingresses.p99.toFixed(1)} ms`);
  wrong.push(...(await wrongHosts(address, plan.services + plan.series, plan)));
  const endpoints = await measureEndpoints(address, plan.endpointChanges, plan);
  tell(`endpoints: p99 ${endpoints.p99.toFixed(1)} ms`);
  const after = await propagation(controller);
  const { requests, failures } = traffic;
  const within20ms = (after.within - before.within) / (after.all - before.all);
  const rssEnd = memory(controller, 'VmRSS');
  return { compile, rss, rssPeak, rssEnd, endpoints, ingresses, within20ms, requests, failures, wrong };
}

/** The leader's writes are over: what is measured afterwards is not what they cost. */
async function statusWritten(count: number): Promise<void> {
  interface Listed {
    readonly items: readonly { readonly status: { readonly loadBalancer?: { readonly ingress?: unknown } } }[];
  }
  await eventually(async () => {
    const { items } = JSON.parse((await api('GET', '/apis/networking.k8s.io/v1/ingresses')).text) as Listed;
    const written = items.filter(({ status }) => status.loadBalancer?.ingress !== undefined).length;
    if (written < count) throw new Error(`${written} of ${count} Ingresses have a status`);
  }, 120_000);
}

async function metrics(controller: Controller): Promise<string> {
  return await (await fetch(controller.admin('/metrics'))).text();
}

async function metric(controller: Controller, name: string): Promise<number> {
  const line = (await metrics(controller)).split('\n').find((text) => text.startsWith(`${name} `));
  if (line === undefined) throw new Error(`there is no metric ${name}`);
  return Number(line.slice(name.length + 1));
}

async function propagation(controller: Controller): Promise<{ within: number; all: number }> {
  const name = 'holdfast_config_propagation_seconds';
  return {
    within: await metric(controller, `${name}_bucket{le="0.02"}`),
    all: await metric(controller, `${name}_count`),
  };
}

function memory({ pid }: Controller, field: 'VmRSS' | 'VmHWM'): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Math.round(Number(new RegExp(`${field}:\\s+(\\d+)`).exec(status)?.[1] ?? NaN) / 1024);
}

function seconds(since: number): string {
  return ((performance.now() - since) / 1000).toFixed(1);
}

/** The figures as lines of a table. */
export function table(figures: Figures): string {
  const ms = ({ p50, p99, max, count }: Times): string =>
    `p50 ${p50.toFixed(1)} ms, p99 ${p99.toFixed(1)} ms, max ${max.toFixed(1)} ms (${count})`;
  const rows: [string, string][] = [
    ['time to ready', `${figures.ready.toFixed(2)} s`],
    ['compile of everything', `${figures.compile.toFixed(3)} s`],
    [
      'memory (RSS)',
      `${figures.rss} MiB at rest, ${figures.rssPeak} MiB peak of the start, ${figures.rssEnd} MiB at the end`,
    ],
    ['endpoint change, event to all workers', ms(figures.endpoints)],
    ['new Ingress, event to right answers', ms(figures.ingresses)],
    ['changes live within 20 ms, by the metric', `${(figures.within20ms * 100).toFixed(2)} %`],
    ['requests meanwhile', `${figures.requests}, ${figures.failures.length} failed`],
    ['hosts answered wrongly', `${figures.wrong.length}`],
  ];
  return rows.map(([what, value]) => `${what.padEnd(42)} ${value}\n`).join('');
}
