/** The main thread without its sources and servers: objects go in, what the workers are sent comes out. */
import { KeyRing } from '../../src/affinity/keyring.ts';
import type { Config } from '../../src/config/config.ts';
import { loadConfig } from '../../src/config/load.ts';
import { Configuration } from '../../src/control/configuration.ts';
import type { Resource } from '../../src/model/resources.ts';
import { Counted } from '../../src/shared/counted.ts';
import type { TableDelta, WorkerStart } from '../../src/shared/messages.ts';
import { createSessionMemory } from '../../src/shared/session-entries.ts';
import { Store } from '../../src/store/store.ts';
import { createLogger } from '../../src/telemetry/logger.ts';

const KEYS = [{ id: 1, key: new Uint8Array(32).fill(7), issueFrom: 0 }];
const SESSION_ENTRIES = 65_536;

export class ControlPlane {
  readonly #config = settings();
  readonly #configuration: Configuration;
  readonly #store: Store;
  #time = 0;

  /** `send` gets every change from `synced` on, at once. */
  constructor(send: (delta: TableDelta) => void = () => undefined) {
    this.#configuration = new Configuration({
      counted: new Counted(1),
      compile: { ...this.#config, inCluster: false, podMetadata: false },
      logger: createLogger({ level: 'silent' }),
      clock: Date.now,
      send,
      sharesKeys: false,
    });
    this.#store = new Store({
      onChange: (change) => {
        this.#configuration.apply(change, this.#store);
      },
      // Whatever is waited for is over at once.
      clock: { now: () => (this.#time += 1000), setTimeout: (tell) => void tell(), clearTimeout: () => undefined },
    });
  }

  put(resource: Resource): void {
    this.#store.sink({ type: 'apply', ref: { kind: resource.kind, ...resource.meta }, resource, problems: [] });
  }

  /** What there is has been put. */
  synced(): void {
    this.#configuration.setKeys(KEYS, KeyRing.from(KEYS));
    this.#store.sink({ type: 'synced' });
    const problems = [...this.#store.problems(), ...this.#configuration.problems()];
    if (problems.length > 0) throw new Error(`the objects have Problems: ${JSON.stringify(problems.slice(0, 3))}`);
  }

  everything(): TableDelta {
    return this.#configuration.everything();
  }

  workerStart(): WorkerStart {
    return {
      row: 0,
      workers: 1,
      epoch: Date.now(),
      sessions: createSessionMemory(SESSION_ENTRIES, Date.now()),
      settings: { ...this.#config, publicHttpPort: 80, publicHttpsPort: 443, maxIdleUpstreams: 64 },
      tls: { selfSigned: { chain: '', key: '' }, ticketKeys: new Uint8Array(), sessionChannel: '' },
    };
  }
}

function settings(): Config {
  const { config, errors } = loadConfig({ args: ['--manifests=none'], env: {}, readFile: () => '' });
  if (config === undefined) throw new Error(errors.join('\n'));
  // A connection for ever: each exchange is to be as the one before.
  return { ...config, maxRequestsPerConnection: Infinity };
}
