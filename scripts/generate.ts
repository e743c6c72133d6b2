/** Writes what is made of something else (`npm run generate`): the CRD, reference pages, WebAssembly; with `--check` only compares. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { stringify } from 'yaml';
import { stickyPolicyCrd } from '../src/api/crd.ts';
import { annotationsReference, stickyPolicyReference } from '../src/api/reference.ts';
import { chartCrd } from './chart-crd.ts';
import { settingsReference } from './settings-reference.ts';
import { wasmModule } from './wasm.ts';

const ROOT = join(import.meta.dirname, '..');

async function generated(): Promise<ReadonlyMap<string, string>> {
  const crd = stringify(stickyPolicyCrd(), { lineWidth: 0, aliasDuplicateObjects: false });
  return new Map([
    [
      'manifests/crds/holdfast.dev_stickypolicies.yaml',
      `# Written by \`npm run generate\`; change the schema instead.\n${crd}`,
    ],
    ['charts/holdfast/templates/crd.yaml', chartCrd()],
    ['docs/reference/stickypolicy.md', stickyPolicyReference()],
    ['docs/reference/annotations.md', annotationsReference()],
    ['docs/reference/settings.md', settingsReference()],
    ['src/http1/scan-wasm.ts', await wasmModule(join(ROOT, 'src/http1/scan.wat'))],
  ]);
}

function current(path: string): string | undefined {
  try {
    return readFileSync(join(ROOT, path), 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}

const stale = [...(await generated())].filter(([path, text]) => current(path) !== text);

if (process.argv.includes('--check')) {
  for (const [path] of stale)
    console.error(`${path} is out of step with what it is made of; run \`npm run generate\` and commit it`);
  process.exitCode = stale.length === 0 ? 0 : 1;
} else {
  for (const [path, text] of stale) {
    mkdirSync(dirname(join(ROOT, path)), { recursive: true });
    writeFileSync(join(ROOT, path), text);
    console.log(`wrote ${path}`);
  }
}
