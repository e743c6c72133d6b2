/** Former cookie names: remembered by rule, latest first, and never one that is read anyway. */
import { expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { project } from '../../../src/api/project.ts';
import { compile } from '../../../src/compile/compile.ts';
import { withFormerNames } from '../../../src/compile/former-names.ts';
import type { Table } from '../../../src/model/table.ts';
import { Objects } from '../../../src/store/objects.ts';
import { file, ingress, policy, service } from '../../support/manifests.ts';

const OPTIONS = {
  controllerName: 'holdfast.dev/ingress-controller',
  ingressClass: 'holdfast',
  watchIngressWithoutClass: false,
  watchNamespaces: [],
  defaultBackend: undefined,
  inCluster: false,
  podMetadata: false,
};

/** A policy with a cookie for each rule that is named. */
function tableWith(cookies: Readonly<Record<string, string>>): Table {
  const rules = Object.entries(cookies).map(([name, cookie]) => ({
    name,
    cookie: { name: cookie, mode: 'Insert' as const },
  }));
  const objects = new Objects();
  for (const document of parseAllDocuments(file(ingress(), service(), policy({ rules })))) {
    const resource = project(document.toJS())?.resource;
    if (resource !== undefined) objects.apply(resource);
  }
  return compile(objects.snapshot(), OPTIONS).table;
}

/** Former names of the one affinity, by rule. */
function former(table: Table): (readonly string[] | undefined)[] {
  const [affinity] = table.affinities.values();
  return affinity?.cookieNames.map((names) => names?.former) ?? [];
}

test('the first table has none, and neither has one whose names did not change', () => {
  const first = tableWith({ browsers: 'A' });
  expect(withFormerNames(first, undefined)).toBe(first);
  expect(withFormerNames(tableWith({ browsers: 'A' }), first)).toEqual(first);
});

test('names are remembered over several edits, latest first, until they are in use again', () => {
  let table = tableWith({ browsers: 'A' });
  const rename = (name: string) => (table = withFormerNames(tableWith({ browsers: name }), table));
  // Each name has a second spelling, for policies with several Services.
  const spellings = (...names: string[]) =>
    names.flatMap((name): unknown[] => [name, expect.stringMatching(`^${name}-[0-9a-f]{8}$`)]);
  expect(former(rename('B'))).toEqual([spellings('A')]);
  expect(former(rename('C'))).toEqual([spellings('B', 'A')]);
  expect(former(rename('B'))).toEqual([spellings('C', 'A')]);
  expect(former(rename('D'))).toEqual([spellings('B', 'C')]);
});

test('a rule gets its own former names only', () => {
  const before = tableWith({ one: 'A', two: 'B' });
  const after = withFormerNames(tableWith({ two: 'B', one: 'C', three: 'D' }), before);
  expect(former(after)).toEqual([undefined, ['A', expect.stringMatching('^A-')], undefined]);
});
