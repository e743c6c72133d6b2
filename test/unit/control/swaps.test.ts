/** Ten thousand table swaps, each with an Ingress, a policy and a pod that come and go, leave nothing behind in the main thread or a worker. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, test } from 'vitest';
import { KeyRing } from '../../../src/affinity/keyring.ts';
import { project } from '../../../src/api/project.ts';
import { Configuration } from '../../../src/control/configuration.ts';
import type { Resource } from '../../../src/model/resources.ts';
import { compileRe2 } from '../../../src/rules/re2.ts';
import { createBlocks } from '../../../src/shared/cells.ts';
import { Counted } from '../../../src/shared/counted.ts';
import { Store } from '../../../src/store/store.ts';
import { createLogger } from '../../../src/telemetry/logger.ts';
import { TlsProfile } from '../../../src/upstream/tls.ts';
import { TableBuilder } from '../../../src/worker/table-builder.ts';

const SWAPS = 10_000;
const WARM_UP = 2_000;
const MB = 1_000_000;
const KEYS = [{ id: 3, key: new Uint8Array(32).fill(7), issueFrom: 0 }];

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

/** Objects, and the shared chunks that workers count in. */
function memory(): number {
  collect();
  collect();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

function resource(raw: unknown): Resource {
  const projected = project(raw);
  if (projected?.resource === undefined) throw new Error(JSON.stringify(projected?.problems));
  return projected.resource;
}

const SERVICE = resource({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { namespace: 'a', name: 's' },
  spec: { ports: [{ name: 'http', port: 80 }] },
});

function ingress(i: number): Resource {
  const path = { path: '/', pathType: 'Prefix', backend: { service: { name: 's', port: { number: 80 } } } };
  const annotations = { 'holdfast.dev/affinity': 'cookie' };
  return resource({
    apiVersion: 'networking.k8s.io/v1',
    kind: 'Ingress',
    metadata: { namespace: 'a', name: `i${i}`, annotations },
    spec: { ingressClassName: 'holdfast', rules: [{ host: `h${i}.example`, http: { paths: [path] } }] },
  });
}

function slice(i: number): Resource {
  const targetRef = { kind: 'Pod', name: `pod-${i}`, uid: `uid-${i}` };
  return resource({
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { namespace: 'a', name: 's-1', labels: { 'kubernetes.io/service-name': 's' } },
    addressType: 'IPv4',
    ports: [{ name: 'http', port: 8080 }],
    endpoints: [{ addresses: [`10.1.${(i >> 8) & 255}.${i & 255}`], targetRef }],
  });
}

/** Main thread and worker in one, on a clock that moves a second a swap. */
class Swaps {
  now = 1_000_000;
  #tell: (() => void) | undefined;
  readonly #counted = new Counted(1);
  readonly #worker: TableBuilder;
  readonly #configuration: Configuration;
  readonly #store: Store;

  constructor() {
    const blocks = createBlocks(1);
    for (const chunk of this.#counted.allChunks()) blocks[chunk.block].attach(chunk);
    const compileRegex = compileRe2;
    const keyRing = () => KeyRing.from(KEYS);
    this.#worker = new TableBuilder({
      blocks,
      row: 0,
      clock: Date.now,
      compileRegex,
      keyRing,
      tlsProfile: (settings) => new TlsProfile(settings, () => undefined),
      onTlsRetired: () => undefined,
      onRetired: () => undefined,
    });
    this.#configuration = new Configuration({
      counted: this.#counted,
      compile: {
        controllerName: 'holdfast.dev/ingress-controller',
        ingressClass: 'holdfast',
        watchIngressWithoutClass: false,
        watchNamespaces: [],
        defaultBackend: undefined,
        inCluster: true,
        podMetadata: true,
      },
      logger: createLogger({ level: 'silent' }),
      clock: () => this.now,
      sharesKeys: false,
      send: (delta) => {
        this.#worker.apply(delta);
      },
    });
    this.#store = new Store({
      onChange: (change) => {
        this.#configuration.apply(change, this.#store);
      },
      clock: {
        now: () => this.now,
        setTimeout: (tell) => {
          this.#tell = tell;
        },
        clearTimeout: () => undefined,
      },
    });
    this.#configuration.setKeys(KEYS, KeyRing.from(KEYS));
    this.put(SERVICE);
    this.#store.sink({ type: 'synced' });
  }

  put(object: Resource): void {
    this.#store.sink({ type: 'apply', ref: { kind: object.kind, ...object.meta }, resource: object, problems: [] });
  }

  run(from: number, to: number): void {
    for (let i = from; i < to; i++) {
      this.put(ingress(i));
      this.put(slice(i));
      this.#store.sink({ type: 'delete', ref: { kind: 'Ingress', namespace: 'a', name: `i${i - 1}` } });
      this.now += 1000;
      this.#tell?.();
      // The worker has acknowledged what it was sent; slots of what has gone are free again after five minutes.
      this.#counted.sweep(this.now, this.#configuration.version, () => false);
    }
  }

  /** Slots that series are made of, when all that is gone has been gone for ten minutes. */
  get seriesLater(): number[] {
    this.now += 600_000;
    this.#counted.sweep(this.now, this.#configuration.version, () => false);
    const { endpoints, pools, route, service, rule, policy } = this.#counted;
    return [endpoints, pools, route, service, rule, policy].map(({ size }) => size);
  }

  get answer(): string | undefined {
    return this.#worker.table.find(`h${SWAPS + WARM_UP - 1}.example`, '/')?.pool?.live.endpoints[0]?.pod;
  }
}

test('T63: as many series after a thousand rollouts as after one', () => {
  const swaps = new Swaps();
  swaps.run(0, 1);
  const before = swaps.seriesLater;
  swaps.run(1, 1000);
  expect(swaps.seriesLater).toEqual(before);
  // One endpoint, pool, route and Service; the rule and the policy of its annotations beside those of no rule.
  expect(before.slice(0, 4)).toEqual([1, 1, 1, 1]);
});

test('memory is flat over 10,000 table swaps', { timeout: 120_000 }, () => {
  const swaps = new Swaps();
  swaps.run(0, WARM_UP);
  const before = memory();
  swaps.run(WARM_UP, WARM_UP + SWAPS);
  expect(memory() - before).toBeLessThan(2 * MB);
  expect(swaps.answer).toBe(`pod-${SWAPS + WARM_UP - 1}`);
});
