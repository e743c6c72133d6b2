/** Writes manifests/holdfast.yaml, the chart rendered for plain `kubectl apply -f`; with `--check` only compares. Needs helm. */
import { spawnSync } from 'node:child_process';
import { accessSync, constants, readFileSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import { parseAllDocuments, stringify } from 'yaml';

const ROOT = join(import.meta.dirname, '..');
const FILE = 'manifests/holdfast.yaml';
const NAMESPACE = 'holdfast';
const HEADER = `# Everything that the chart installs, for a cluster without Helm: kubectl apply -f ${FILE}
# Rendered from charts/holdfast by \`npm run generate\`; change the chart instead.
`;

interface Manifest {
  readonly kind: string;
  readonly metadata: {
    readonly labels?: Record<string, string>;
    readonly annotations?: Record<string, string>;
    readonly [field: string]: unknown;
  };
  readonly [field: string]: unknown;
}

/** `HELM`, else helm in the PATH, else the one that the tests' cluster has built for itself. */
function findHelm(): string | undefined {
  const cache = process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache');
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), join(cache, 'holdfast-cluster/k8s-1.36.3')];
  const candidates = [process.env['HELM'], ...folders.map((folder) => join(folder, 'helm'))];
  return candidates.find((path): path is string => path !== undefined && executable(path));
}

function executable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function render(helm: string): string {
  const args = ['template', 'holdfast', 'charts/holdfast', '--namespace', NAMESPACE, '--skip-tests'];
  const { status, stdout, stderr, error } = spawnSync(helm, args, { cwd: ROOT, encoding: 'utf8' });
  if (error !== undefined) throw error;
  if (status !== 0) throw new Error(`helm ${args.join(' ')}: ${stderr}`);
  const manifests = parseAllDocuments(stdout)
    .map((document) => document.toJS() as Manifest | null)
    .filter((manifest) => manifest !== null);
  const namespace = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: NAMESPACE } };
  const documents = [namespace, ...manifests.map(withoutHelm)];
  return (
    HEADER + documents.map((one) => `---\n${stringify(one, { lineWidth: 0, aliasDuplicateObjects: false })}`).join('')
  );
}

/** Labels and annotations that mean something to Helm alone would say an untruth here. */
function withoutHelm(manifest: Manifest): Manifest {
  const { labels, annotations, ...metadata } = manifest.metadata;
  const keptLabels = without(labels, (name) => name.startsWith('helm.sh/') || name.endsWith('/managed-by'));
  const keptAnnotations = without(annotations, (name) => name.startsWith('helm.sh/'));
  return {
    ...manifest,
    metadata: { ...metadata, ...named('labels', keptLabels), ...named('annotations', keptAnnotations) },
  };
}

function without(
  map: Readonly<Record<string, string>> | undefined,
  drop: (name: string) => boolean,
): Record<string, string> {
  return Object.fromEntries(Object.entries(map ?? {}).filter(([name]) => !drop(name)));
}

function named(name: string, map: Readonly<Record<string, string>>): Record<string, unknown> {
  return Object.keys(map).length === 0 ? {} : { [name]: map };
}

const helm = findHelm();
if (helm === undefined) {
  console.error(`helm is not installed: ${FILE} is neither written nor compared (set HELM to the program to use)`);
  process.exitCode = process.argv.includes('--require-helm') ? 1 : 0;
} else {
  const path = join(ROOT, FILE);
  const text = render(helm);
  let current = '';
  try {
    current = readFileSync(path, 'utf8');
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error;
  }
  if (current === text) process.exitCode = 0;
  else if (process.argv.includes('--check')) {
    console.error(`${FILE} is out of step with charts/holdfast; run \`npm run generate\` and commit it`);
    process.exitCode = 1;
  } else {
    writeFileSync(path, text);
    console.log(`wrote ${FILE}`);
  }
}
