/** `holdfast check`: compiles manifests without serving them and prints every Problem. */
import { existsSync } from 'node:fs';
import { compile } from '../compile/compile.ts';
import { buildPool } from '../compile/endpoints.ts';
import type { Config } from '../config/config.ts';
import { objectKey } from '../model/ids.ts';
import type { Problem } from '../model/problem.ts';
import type { SourceEvent } from '../model/snapshot.ts';
import { Store } from '../store/store.ts';
import type { CliIo, Command } from './io.ts';
import { problemText } from './problem-text.ts';
import { readManifests } from './read-manifests.ts';
import { readSettings } from './settings.ts';

export const check: Command = {
  name: 'check',
  usage: 'FILE… [FLAGS]',
  summary: 'compile manifests (files or folders) without serving them, and print every problem',
  takesSettings: true,
  run: async (args, io) => {
    const settings = readSettings(args, io, { takesFiles: true });
    if (settings === undefined) return 2;
    const { config, positionals: files } = settings;
    if (files.length === 0) {
      io.err('holdfast: nothing to check: write holdfast check FILE…\n');
      return 2;
    }
    const missing = files.filter((file) => !existsSync(file));
    for (const file of missing) io.err(`holdfast: there is no file or folder ${JSON.stringify(file)}\n`);
    if (missing.length > 0) return 2;
    return report(problemsOf(await readManifests(files), config), io);
  },
};

/** All Problems of the objects that the events bring, each once, in the order of file and line. */
function problemsOf(events: readonly SourceEvent[], config: Config): Problem[] {
  const clock = { now: () => 0, setTimeout: () => undefined, clearTimeout: () => undefined };
  const store = new Store({ onChange: () => undefined, clock });
  for (const event of events) store.sink(event);
  const snapshot = store.snapshot();
  const { table, problems } = compile(snapshot, { ...config, inCluster: false, podMetadata: true });
  const ofPools = [...table.pools.values()].flatMap((spec) => {
    const slices = snapshot.slicesByService.get(objectKey(spec.namespace, spec.service));
    return buildPool(spec, slices?.values() ?? [], undefined, 0).problems;
  });
  const all = [...store.problems(), ...problems, ...ofPools];
  store.close();
  return [...new Map(all.map((problem) => [JSON.stringify(problem), problem])).values()].sort(byPlace);
}

function byPlace(a: Problem, b: Problem): number {
  const [fileA, fileB] = [a.location?.file ?? '', b.location?.file ?? ''];
  if (fileA !== fileB) return fileA < fileB ? -1 : 1;
  return (a.location?.line ?? 0) - (b.location?.line ?? 0);
}

/** Exit code 1 when there are errors; warnings alone are 0. */
function report(problems: readonly Problem[], io: CliIo): number {
  for (const problem of problems) io.out(`${problemText(problem)}\n`);
  const errors = problems.filter((problem) => problem.severity === 'error').length;
  io.out(`${counted(errors, 'error')}, ${counted(problems.length - errors, 'warning')}\n`);
  return errors > 0 ? 1 : 0;
}

function counted(count: number, what: string): string {
  return `${count === 0 ? 'no' : count} ${what}${count === 1 ? '' : 's'}`;
}
