// The arrows of the layout, enforced: which folder may import which, and which package may be used where.

/** Folders under src that `folder` may import besides itself; packages and Node modules are ruled below. */
const ARROWS = {
  model: [],
  match: ['model'],
  tls: [],
  http1: ['model'],
  http2: ['model', 'http1'],
  'proxy-protocol': ['model'],
  rules: ['model'],
  affinity: ['model', 'rules'],
  shared: ['model', 'affinity', 'config'],
  api: ['model', 'rules'],
  compile: ['model', 'api', 'rules', 'match'],
  store: ['model'],
  source: ['model', 'api', 'telemetry'],
  config: ['model'],
  telemetry: ['model', 'shared', 'config'],
  admin: ['model', 'config', 'telemetry'],
  demo: ['model', 'source', 'telemetry'],
  io: ['model', 'http1'],
  upstream: ['model', 'io', 'shared', 'http1', 'http2', 'config', 'telemetry'],
  'session-store': ['model', 'config'],
  lanes: [
    'model',
    'session-store',
    'io',
    'shared',
    'http1',
    'http2',
    'proxy-protocol',
    'match',
    'affinity',
    'rules',
    'upstream',
    'config',
    'telemetry',
  ],
  worker: [
    'model',
    'session-store',
    'io',
    'shared',
    'tls',
    'http1',
    'proxy-protocol',
    'match',
    'affinity',
    'rules',
    'upstream',
    'lanes',
    'config',
    'telemetry',
  ],
};

/** Folders without I/O, clock or logger: the only Node modules they may use. */
const PURE = {
  model: [],
  match: [],
  tls: [],
  http1: [],
  http2: [],
  'proxy-protocol': [],
  // `module`: to load a package only when it is needed.
  rules: ['module'],
  affinity: ['crypto'],
  api: ['crypto'],
  compile: ['crypto', 'util'],
  store: ['util'],
};

/** Packages and the only files that may import them. */
const PACKAGES = {
  zod: '^src/(config|api)/|^src/rules/schema|^src/rules/[^/]+/(schema|fields)',
  'prom-client': '^src/telemetry/',
  pino: '^src/telemetry/',
  '@redis/client': '^src/session-store/',
  'http-proxy-3': '^src/lanes/upgrade/',
  '@kubernetes/client-node': '^src/(source/kubernetes|control)/',
  yaml: '^src/(source/files|config|cli)/',
  re2js: '^src/rules/',
  '@marcbachmann/cel-js': '^src/rules/cel/',
};

const arrows = Object.entries(ARROWS).map(([folder, allowed]) => ({
  name: `${folder}-imports-only-${allowed.length === 0 ? 'itself' : allowed.join('-')}`,
  severity: 'error',
  from: { path: `^src/${folder}/` },
  to: { path: '^src/', pathNot: `^src/(${[folder, ...allowed].join('|')})/` },
}));

const pure = Object.entries(PURE).map(([folder, allowed]) => ({
  name: `${folder}-is-pure`,
  severity: 'error',
  from: { path: `^src/${folder}/` },
  to: {
    dependencyTypes: ['core'],
    ...(allowed.length === 0 ? {} : { pathNot: `^(node:)?(${allowed.join('|')})$` }),
  },
}));

const packages = Object.entries(PACKAGES).map(([name, where]) => ({
  name: `${name}-only-where-it-belongs`,
  severity: 'error',
  from: { path: '^src/', pathNot: where },
  to: { path: `^node_modules/${name}/` },
}));

export default {
  forbidden: [
    {
      name: 'no-circular',
      comment: 'imports of types alone vanish at run time and may point back',
      severity: 'error',
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
    {
      name: 'workers-load-no-control-plane-packages',
      severity: 'error',
      from: {
        path: '^src/(match|tls|http1|http2|proxy-protocol|affinity|shared|io|upstream|session-store|lanes|worker)/',
      },
      to: { path: '^node_modules/(zod|yaml|prom-client)/', reachable: true },
    },
    { name: 'no-unresolvable', severity: 'error', from: {}, to: { couldNotResolve: true } },
    {
      name: 'no-dev-dependencies-in-src',
      severity: 'error',
      from: { path: '^src/' },
      to: { dependencyTypes: ['npm-dev', 'npm-no-pkg', 'npm-unknown'], dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'lanes-do-not-know-each-other',
      severity: 'error',
      from: { path: '^src/lanes/([^/]+)/' },
      to: { path: '^src/lanes/[^/]+/', pathNot: '^src/lanes/$1/' },
    },
    {
      name: 'only-the-logger-of-telemetry-is-shared',
      comment: 'sources, the admin server and the demo log; metrics are control’s and the workers’ business',
      severity: 'error',
      from: { path: '^src/(source|admin|demo|upstream|lanes)/' },
      to: { path: '^src/telemetry/', pathNot: '^src/telemetry/(logger|access-log)' },
    },
    {
      name: 'only-main-imports-cli',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/(main\\.ts$|cli/)' },
      to: { path: '^src/(cli/|main\\.ts$)' },
    },
    {
      name: 'only-cli-imports-control-and-demo',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/(cli|control|demo)/' },
      to: { path: '^src/(control|demo)/' },
    },
    ...arrows,
    ...pure,
    ...packages,
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: { extensions: ['.ts', '.js'], conditionNames: ['import', 'node', 'default'] },
  },
};
