/** Settings from flags, environment, file and defaults. */
import { describe, expect, test } from 'vitest';
import { settingsHelp } from '../../../src/config/help.ts';
import { loadConfig } from '../../../src/config/load.ts';
import type { LoadInput } from '../../../src/config/load.ts';
import { SETTINGS } from '../../../src/config/schema.ts';
import type { Config } from '../../../src/config/config.ts';

interface Given {
  readonly args?: readonly string[];
  readonly env?: Record<string, string>;
  readonly files?: Record<string, string>;
  readonly defaults?: LoadInput['defaults'];
}

function load({ args = [], env = {}, files = {}, defaults = {} }: Given): ReturnType<typeof loadConfig> {
  const readFile = (path: string): string => {
    const text = files[path];
    if (text === undefined) throw new Error('no such file');
    return text;
  };
  return loadConfig({ args, env, defaults, readFile });
}

function config(given: Given): Config {
  const loaded = load(given);
  expect(loaded.errors).toEqual([]);
  if (loaded.config === undefined) throw new Error('no config');
  return loaded.config;
}

describe('precedence', () => {
  test('the defaults are valid and complete', () => {
    expect(config({})).toMatchObject({
      bindAddress: '::',
      httpPort: 8080,
      publicHttpPort: undefined,
      httpsPort: 8443,
      publicHttpsPort: undefined,
      defaultTlsSecret: undefined,
      tlsSecretNames: [],
      adminAddress: { host: '127.0.0.1', port: 9090 },
      headTimeout: 10_000,
      idleTimeout: 75_000,
      shutdownDelay: 5_000,
      maxHeadBytes: 16_384,
      maxConnections: 20_000,
      sessionKeysFile: '.holdfast/session-keys.json',
      trustedProxies: [],
      watchNamespaces: [],
    });
  });

  test('flag before variable before file before default of the command before default', () => {
    const files = { 'f.yaml': 'http-port: 3\n' };
    const defaults = { httpPort: '4' };
    const env = { HOLDFAST_HTTP_PORT: '2', HOLDFAST_CONFIG: 'f.yaml' };
    expect(config({ args: ['--http-port', '1'], env, files, defaults }).httpPort).toBe(1);
    expect(config({ env, files, defaults }).httpPort).toBe(2);
    expect(config({ args: ['--config=f.yaml'], files, defaults }).httpPort).toBe(3);
    expect(config({ defaults }).httpPort).toBe(4);
    expect(config({}).httpPort).toBe(8080);
  });

  test('the last of several flags wins', () => {
    expect(config({ args: ['--http-port', '1', '--http-port=2'] }).httpPort).toBe(2);
  });
});

describe('values', () => {
  test.each([
    [['--admin-address', '[::]:0'], { adminAddress: { host: '::', port: 0 } }],
    [['--admin-address', 'localhost:9'], { adminAddress: { host: '127.0.0.1', port: 9 } }],
    [['--bind-address', '[::1]'], { bindAddress: '::1' }],
    [['--watch-ingress-without-class'], { watchIngressWithoutClass: true }],
    [['--allow-unsupported-annotations'], { allowUnsupportedAnnotations: true }],
    [[], { allowUnsupportedAnnotations: false }],
    [['--proxy-protocol', '--trusted-proxies=::1'], { proxyProtocol: true, trustedProxies: ['::1/128'] }],
    [['--no-forwarded-header'], { forwardedHeader: false }],
    [['--forwarded-header=true'], { forwardedHeader: true }],
    [['--watch-namespaces', 'a, b'], { watchNamespaces: ['a', 'b'] }],
    [['--kubeconfig', 'k.yaml'], { kubeconfig: 'k.yaml' }],
    [['--no-pod-watch'], { podWatch: false }],
    [
      ['--trusted-proxies', '10.0.0.0/8,::1,192.168.1.1'],
      { trustedProxies: ['10.0.0.0/8', '::1/128', '192.168.1.1/32'] },
    ],
    [['--default-backend', 'shop/web:80'], { defaultBackend: { namespace: 'shop', service: 'web', port: 80 } }],
    [['--default-backend', 'shop/web:http'], { defaultBackend: { namespace: 'shop', service: 'web', port: 'http' } }],
    [['--idle-timeout', '1m30s'], { idleTimeout: 90_000 }],
    [['--shutdown-delay', '0s'], { shutdownDelay: 0 }],
    [['--server-header='], { serverHeader: '' }],
    [['--server-header', ''], { serverHeader: '' }],
    [['--state-dir', '/var/lib/holdfast'], { sessionKeysFile: '/var/lib/holdfast/session-keys.json' }],
    [['--session-keys-file', 'k'], { sessionKeysFile: 'k', sessionKeysFileGiven: true }],
    [['--session-keys-secret', 'ns/keys'], { sessionKeysSecret: { namespace: 'ns', name: 'keys' } }],
    [['--leader-lease', 'ns/a.b'], { leaderLease: { namespace: 'ns', name: 'a.b' } }],
    [['--publish-address', '203.0.113.7, lb.example,::1'], { publishAddress: ['203.0.113.7', 'lb.example', '::1'] }],
  ])('%j', (args, expected) => {
    expect(config({ args })).toMatchObject(expected);
  });

  test.each([
    [['--http-port', '65536'], '--http-port: "65536" is not allowed; write a whole number from 0 to 65535'],
    [['--http-port', '-1'], '--http-port: "-1" is not allowed; write a whole number from 0 to 65535'],
    [['--http-port', '80.5'], '--http-port: "80.5" is not allowed; write a whole number from 0 to 65535'],
    [['--http-port', '1e3'], '--http-port: "1e3" is not allowed'],
    [['--workers', '0'], '--workers: "0" is not allowed; write a whole number from 1'],
    [['--idle-timeout', '75'], '--idle-timeout: "75" is not allowed; write a duration from 1ms to 24h such as'],
    [['--idle-timeout', '0s'], '--idle-timeout: "0s" is not allowed'],
    [['--idle-timeout', '25h'], '--idle-timeout: "25h" is not allowed'],
    [['--access-log', 'on'], '--access-log: "on" is not allowed; write one of off, sampled, full'],
    [['--trusted-proxies', '10.0.0.0/8,oops'], '--trusted-proxies: "10.0.0.0/8,oops" is not allowed; write CIDRs'],
    [['--trusted-proxies', '10.0.0.0/33'], '--trusted-proxies: "10.0.0.0/33" is not allowed'],
    [['--admin-address', '9090'], '--admin-address: "9090" is not allowed; write HOST:PORT'],
    [['--admin-address', '::1:9090'], '--admin-address: "::1:9090" is not allowed; write HOST:PORT'],
    [['--default-backend', 'web:80'], '--default-backend: "web:80" is not allowed; write NAMESPACE/SERVICE:PORT'],
    [['--default-backend', 'a/b:0'], '--default-backend: "a/b:0" is not allowed'],
    [['--publish-service', 'web'], '--publish-service: "web" is not allowed; write NAMESPACE/NAME such as'],
    [['--replicas-service', 'a/b/c'], '--replicas-service: "a/b/c" is not allowed'],
    [['--publish-address', 'http://lb'], '--publish-address: "http://lb" is not allowed; write IP addresses or host'],
    [['--server-header', 'a\r\nb: c'], '--server-header: "a\\r\\nb: c" is not allowed'],
    [['--forwarded-header=yes'], '--forwarded-header: "yes" is not allowed; write true or false'],
    [['--max-target-bytes', '16384'], '--max-target-bytes: "16384" is not allowed; write less than --max-head-bytes'],
    [
      ['--proxy-protocol'],
      '--proxy-protocol: "true" is not allowed; name the peers that send the header in --trusted-proxies',
    ],
    [['--http-port', '9090'], 'write another port than that of --http-port (9090)'],
    [['--http-port'], '--http-port needs a value: write --http-port PORT'],
    [['--manifests', '--http-port'], '--manifests needs a value: write --manifests DIR'],
    [['--http-prot', '1'], 'unknown flag --http-prot; did you mean --http-port?'],
    [['--no-http-port'], 'unknown flag --no-http-port'],
    [['-p'], 'unknown flag -p'],
  ])('%j is refused', (args, message) => {
    const { errors, config: none } = load({ args });
    expect(none).toBeUndefined();
    expect(errors[0]).toContain(message);
  });

  test('every mistake is told, not only the first', () => {
    const { errors } = load({ args: ['--http-port', 'x', '--nope'], env: { HOLDFAST_WORKERS: 'many' } });
    expect(errors).toHaveLength(3);
    expect(errors.join('\n')).toContain('HOLDFAST_WORKERS: "many" is not allowed');
  });
});

describe('environment', () => {
  test('an empty variable is unset, but for the header that may be empty', () => {
    const env = { HOLDFAST_HTTP_PORT: '', HOLDFAST_SERVER_HEADER: '' };
    expect(config({ env })).toMatchObject({ httpPort: 8080, serverHeader: '' });
  });

  test('the variables that Kubernetes sets for Services named holdfast are not ours', () => {
    const env = {
      HOLDFAST_SERVICE_HOST: '10.0.0.1',
      HOLDFAST_PORT_8080_TCP_ADDR: '10.0.0.1',
      HOLDFAST_HTTP_PORT: 'tcp://10.0.0.1:80',
    };
    expect(config({ env }).httpPort).toBe(8080);
    expect(load({ env }).warnings).toEqual([]);
  });

  test('a misspelt variable is told', () => {
    expect(load({ env: { HOLDFAST_IDLE_TIMEOT: '1s' } }).warnings).toEqual([
      'HOLDFAST_IDLE_TIMEOT is not a setting; did you mean HOLDFAST_IDLE_TIMEOUT?',
    ]);
  });
});

describe('config file', () => {
  const from = (text: string): ReturnType<typeof load> =>
    load({ args: ['--config', 'f.yaml'], files: { 'f.yaml': text } });

  test('numbers, booleans, lists and text', () => {
    const text =
      'http-port: 81\nwatch-ingress-without-class: true\nwatch-namespaces: [a, b]\nidle-timeout: 5s\nserver-header:\n';
    expect(from(text).config).toMatchObject({
      httpPort: 81,
      watchIngressWithoutClass: true,
      watchNamespaces: ['a', 'b'],
      idleTimeout: 5000,
      serverHeader: '',
    });
  });

  test('an empty file says nothing', () => {
    expect(from('# nothing\n').errors).toEqual([]);
  });

  test.each([
    ['a: 1\nhttp-prot: 1\n', 'f.yaml:2: http-prot is not a setting; did you mean http-port?'],
    ['\nhttp-port: x\n', 'f.yaml:2: http-port: "x" is not allowed; write a whole number'],
    ['http-port: {a: 1}\n', 'f.yaml:1: http-port: write a plain value or a list of plain values'],
    ['config: other.yaml\n', 'f.yaml:1: config is not a setting'],
    ['- 1\n', 'f.yaml: write a map of settings'],
    ['a: [1\n', 'f.yaml:'],
    ['http-port: 1\nhttp-port: 2\n', 'f.yaml:2'],
  ])('%j is refused', (text, message) => {
    expect(from(text).errors.join('\n')).toContain(message);
  });

  test('a file that cannot be read', () => {
    expect(load({ args: ['--config', 'gone.yaml'] }).errors[0]).toBe(
      '--config gone.yaml: cannot read the file: no such file',
    );
  });
});

test('the help names every setting with its variable, and the default of the command', () => {
  const text = settingsHelp({ bindAddress: '127.0.0.1' });
  for (const { flag, env, info } of SETTINGS) {
    expect(text).toContain(`--${flag}`);
    expect(text).toContain(`[${env}]`);
    expect(text).toContain(info.meaning);
  }
  expect(text).toContain('[HOLDFAST_BIND_ADDRESS] (default: 127.0.0.1)');
});
