/** The commands as a user runs them. */
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { holdfast, ROOT } from './run-cli.ts';

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'holdfast-cli-'));
});
afterAll(() => rmSync(dir, { recursive: true }));

describe('which command', () => {
  test.each([['version'], ['--version'], ['-v']])('%s', async (arg) => {
    const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string };
    expect(await holdfast([arg])).toEqual({
      code: 0,
      out: `holdfast ${version} (Node.js ${process.version})\n`,
      err: '',
    });
  });

  test.each([[['help']], [['--help']], [['-h']]])('%j lists the commands and every flag', async (args) => {
    const { code, out } = await holdfast(args);
    expect(code).toBe(0);
    for (const word of ['run', 'demo', 'check', 'version', '--http-port PORT', 'HOLDFAST_IDLE_TIMEOUT'])
      expect(out).toContain(word);
  });

  test('help of a command has its own defaults', async () => {
    expect((await holdfast(['demo', '--help'])).out).toContain('[HOLDFAST_SHUTDOWN_DELAY] (default: 0s)');
    expect((await holdfast(['help', 'run'])).out).toContain('[HOLDFAST_SHUTDOWN_DELAY] (default: 5s)');
  });

  test.each([
    [['rnu'], 'unknown command "rnu"; did you mean holdfast run?\n'],
    [['help', 'demmo'], 'unknown command "demmo"; did you mean holdfast demo?\n'],
    [
      ['xyzzy-plugh'],
      'unknown command "xyzzy-plugh"; there are run, demo, check, drain, keys, sessions, simulate, version, help\n',
    ],
    [['version', 'please'], 'holdfast version takes no arguments, but was given please\n'],
    [['run', 'now'], 'holdfast: unexpected argument "now"; flags begin with --\n'],
    [['run', '--wrokers', '2'], 'holdfast: unknown flag --wrokers; did you mean --workers?\n'],
    [['check'], 'holdfast: nothing to check: write holdfast check FILE…\n'],
    [['check', '/nonexistent.yaml'], 'holdfast: there is no file or folder "/nonexistent.yaml"\n'],
  ])('%j is refused', async (args, err) => {
    expect(await holdfast(args)).toEqual({ code: 2, out: '', err });
  });

  test('nothing at all shows the help and fails', async () => {
    const { code, err } = await holdfast([]);
    expect(code).toBe(2);
    expect(err).toContain('Usage: holdfast COMMAND');
  });
});

describe('check', () => {
  test('the examples: the broken one is told with file, line, object and field', async () => {
    const { code, out } = await holdfast(['check', 'manifests/examples']);
    expect(code).toBe(1);
    const lines = readFileSync(join(ROOT, 'manifests/examples/broken.yaml'), 'utf8').split('\n');
    const line = lines.findIndex((text) => text.includes('idleTimeout: ')) + 1;
    expect(out).toMatch(
      new RegExp(
        `^error manifests/examples/broken\\.yaml:${line}: StickyPolicy assets/downloads, spec\\.session\\.idleTimeout: .+\\n`,
      ),
    );
    expect(out).toMatch(/\n1 error, no warnings\n$/);
  });

  test('a single good file', async () => {
    const { code, out } = await holdfast(['check', 'manifests/examples/class.yaml', 'manifests/examples/shop.yaml']);
    expect({ code, out }).toEqual({ code: 0, out: 'no errors, no warnings\n' });
  });

  test('a file that is no YAML', async () => {
    const file = join(dir, 'half.yaml');
    writeFileSync(file, 'apiVersion: v1\nkind: Service\nmetadata: {name: a\n');
    const { code, out } = await holdfast(['check', file]);
    expect(code).toBe(1);
    expect(out).toMatch(new RegExp(`^error ${file}:\\d+: .* nothing of it is in force\\. `));
  });

  test('an object that names what does not exist', async () => {
    const file = join(dir, 'lonely.yaml');
    const rule =
      '{host: a.example, http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}}';
    writeFileSync(
      file,
      `apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: a, namespace: b}\nspec: {ingressClassName: holdfast, rules: [${rule}]}\n`,
    );
    const { code, out } = await holdfast(['check', file]);
    expect(code).toBe(1);
    expect(out).toContain(`${file}:4: Ingress b/a, spec.rules[0].http.paths[0].backend.service`);
  });
});

describe('simulate', () => {
  const policyFile = (rules: string): string => {
    const file = join(dir, 'policy.yaml');
    writeFileSync(
      file,
      `apiVersion: holdfast.dev/v1alpha1\nkind: StickyPolicy\nmetadata: {name: a, namespace: b}\nspec: {rules: [${rules}]}\n`,
    );
    return file;
  };
  const simulate = async (rules: string, from: number, to: number) =>
    await holdfast(['simulate', '--policy', policyFile(rules), '--from', String(from), `--to=${to}`]);

  test('says for each rule what moves, and how even the load is', async () => {
    const { code, out } = await simulate(
      '{name: free, none: {}}, {name: browsers, cookie: {}}, {name: apps, header: {name: x, mode: Hash}}, ' +
        '{name: rest, sourceIP: {mode: Hash, hash: {algorithm: Maglev}}}',
      4,
      3,
    );
    expect(code).toBe(0);
    const lines = out.split('\n');
    expect(lines.slice(0, 3)).toEqual([
      'StickyPolicy b/a, 4 to 3 endpoints',
      '  free: balanced, no session',
      '  browsers: cookie: the sessions of the endpoints that go move, evenly to all others (25.0 %), no other',
    ]);
    expect(lines[3]).toMatch(
      /^ {2}apps: header, Rendezvous: 2[45]\.\d % of the keys move \(25\.0 % must, for an even load\); load of an endpoint \d+–\d+ % of the mean before, \d+–\d+ % after$/,
    );
    expect(lines[4]).toMatch(/^ {2}rest: sourceIP, Maglev: 2[456]\.\d % of the keys move/);
  });

  test('no session moves when endpoints are added', async () => {
    expect((await simulate('{name: browsers, cookie: {}}', 3, 5)).out).toContain(
      'browsers: cookie: no session moves\n',
    );
  });

  test('a policy that is refused, and none', async () => {
    const refused = await simulate('{name: apps, host: {mode: Hash, hash: {algorithm: Jump}}}', 1, 2);
    expect(refused).toMatchObject({ code: 1, out: '' });
    expect(refused.err).toMatch(/spec\.rules\[0\]\.host\.hash\.algorithm.*\n.*there is no StickyPolicy to simulate\n$/);
  });

  test.each([
    [[]],
    [['--policy', 'x', '--from', '0', '--to', '3']],
    [['--policy', 'x', '--from', '1', '--to', '3', 'y']],
  ])('%j is refused', async (args) => {
    const { code, err } = await holdfast(['simulate', ...args]);
    expect({ code, err }).toEqual({
      code: 2,
      err: 'holdfast: write holdfast simulate --policy FILE --from N --to M; N and M are 1 to 1000\n',
    });
  });
});

describe('run', () => {
  test('without manifests and without a cluster', async () => {
    const { code, err } = await holdfast(['run'], { env: { KUBECONFIG: '' } });
    expect(code).toBe(1);
    expect(err).toContain('holdfast: --manifests is missing: write --manifests DIR');
    expect(err).toContain('or --kubeconfig FILE to serve a cluster');
  });

  test('a kubeconfig that is not there, or is none', async () => {
    const ports = ['--https-port', 'off', '--http-port', '0', '--admin-address', '127.0.0.1:0'];
    const missing = await holdfast(['run', '--kubeconfig', join(dir, 'gone'), ...ports]);
    expect(missing.code).toBe(1);
    expect(missing.err).toMatch(/could not start: cannot read the credentials of .*gone: ENOENT/);
    const none = await holdfast(['run', '--kubeconfig', 'package.json', ...ports]);
    expect(none.code).toBe(1);
    expect(none.err).toContain('could not start: cannot read the credentials of package.json: ');
  });

  test('manifests that are not there, or a file', async () => {
    expect((await holdfast(['run', '--manifests', join(dir, 'gone')])).err).toContain(
      '--manifests: there is no folder',
    );
    expect((await holdfast(['run', '--manifests', 'package.json'])).err).toContain('"package.json" is not a folder');
  });

  test('a taken port names the flag', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const args = [
      'run',
      '--manifests',
      dir,
      '--bind-address',
      '127.0.0.1',
      '--https-port',
      'off',
      '--http-port',
      String(port),
    ];
    const { code, err } = await holdfast([...args, '--admin-address', '127.0.0.1:0']);
    server.close();
    expect(code).toBe(1);
    expect(err).toContain(`holdfast: --http-port ${port} is taken`);
  });
});
