/** `holdfast simulate`: what a change of the number of endpoints would do to the sessions of a StickyPolicy. */
import { existsSync } from 'node:fs';
import { simulate as simulateHash } from '../affinity/simulate.ts';
import type { Evenness } from '../affinity/simulate.ts';
import { compilePolicy } from '../compile/passes/policies.ts';
import { objectKey } from '../model/ids.ts';
import type { CompiledPolicy, CompiledRule } from '../model/policy.ts';
import type { StickyPolicy } from '../model/resources.ts';
import type { SourceEvent } from '../model/snapshot.ts';
import type { CliIo, Command } from './io.ts';
import { problemText } from './problem-text.ts';
import { readManifests } from './read-manifests.ts';
import { takeValue } from './take.ts';

/** Keys that are tried: enough for the first decimal of a percentage. */
const KEYS = 100_000;
/** So many take a few seconds. */
const MAX_ENDPOINTS = 1000;

export const simulate: Command = {
  name: 'simulate',
  usage: '--policy FILE --from N --to M',
  summary: 'how many sessions of a StickyPolicy move from N endpoints to M, and how even the load is',
  takesSettings: false,
  run: async (args, io) => {
    const policy = takeValue(args, '--policy');
    const from = takeValue(policy.rest, '--from');
    const to = takeValue(from.rest, '--to');
    const [before, after] = [endpoints(from.value), endpoints(to.value)];
    const file = policy.value ?? '';
    if (file === '' || before === undefined || after === undefined || to.rest.length > 0) {
      io.err(`holdfast: write holdfast ${simulate.name} ${simulate.usage}; N and M are 1 to ${MAX_ENDPOINTS}\n`);
      return 2;
    }
    if (!existsSync(file)) {
      io.err(`holdfast: there is no file or folder ${JSON.stringify(file)}\n`);
      return 2;
    }
    return report(await readManifests([file]), before, after, io);
  },
};

function endpoints(text: string | undefined): number | undefined {
  const count = /^\d{1,5}$/.test(text ?? '') ? Number(text) : 0;
  return count >= 1 && count <= MAX_ENDPOINTS ? count : undefined;
}

/** Exit code 1 when the file holds no StickyPolicy that is accepted. */
function report(events: readonly SourceEvent[], from: number, to: number, io: CliIo): number {
  const problems = events.flatMap((event) => ('problems' in event ? event.problems : []));
  for (const problem of problems) io.err(`${problemText(problem)}\n`);
  const policies = events.flatMap((event) => (event.type === 'apply' ? stickyPolicy(event.resource) : []));
  if (policies.length === 0) io.err('holdfast: there is no StickyPolicy to simulate\n');
  for (const { meta, spec } of policies) {
    const id = objectKey(meta.namespace, meta.name);
    const compiled = compilePolicy({ id, namespace: meta.namespace, name: meta.name }, spec);
    io.out(`StickyPolicy ${id}, ${from} to ${to} endpoints\n`);
    for (const rule of compiled.rules) io.out(`  ${rule.name}: ${fate(compiled, rule, from, to)}\n`);
  }
  return policies.length === 0 ? 1 : 0;
}

function stickyPolicy(resource: Extract<SourceEvent, { type: 'apply' }>['resource']): StickyPolicy[] {
  return resource?.kind === 'StickyPolicy' && 'spec' in resource ? [resource] : [];
}

function fate({ lost }: CompiledPolicy, { key }: CompiledRule, from: number, to: number): string {
  if (key === undefined) return 'chooses no endpoint';
  if (key.kind === 'none') return 'balanced, no session';
  if ('algorithm' in key) {
    const { moved, expected, before, after } = simulateHash(key.algorithm, from, to, KEYS);
    return (
      `${key.kind}, ${key.algorithm}: ${percent(moved)} of the keys move (${percent(expected)} must, for an even load); ` +
      `load of an endpoint ${spread(before)} of the mean before, ${spread(after)} after`
    );
  }
  if (to >= from) return `${key.kind}: no session moves`;
  const share = percent((from - to) / from);
  const what = lost.action === 'Reject' ? 'are refused' : 'move, evenly to all others';
  return `${key.kind}: the sessions of the endpoints that go ${what} (${share}), no other`;
}

function spread({ least, most }: Evenness): string {
  return `${Math.round(least * 100)}–${Math.round(most * 100)} %`;
}

function percent(share: number): string {
  return `${(share * 100).toFixed(1)} %`;
}
