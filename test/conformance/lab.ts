/** One running application with many hosts, each with a hostile backend of its own, so that no case sees another's connections. */
import { afterEach, expect } from 'vitest';
import type { Config } from '../../src/config/config.ts';
import { closeAtEnd, file, ingress, policy, service, slice, startApp } from '../support/app.ts';
import type { App } from '../support/app.ts';
import { eventually } from '../support/eventually.ts';
import type { PolicyOptions } from '../support/manifests.ts';
import { closeWires, HostileBackend } from '../support/wire.ts';
import { appProtocol } from './endpoints.ts';
import type { Ports } from './lanes.ts';

/** A host with its backend. */
export interface Site {
  readonly name: string;
  readonly host: string;
  readonly backend: HostileBackend;
}

export interface LabOptions {
  /** How many hosts without a policy there are; each can be taken once. */
  readonly plain: number;
  /** How many hosts with a cookie policy there are. */
  readonly sticky?: number;
  readonly policy?: PolicyOptions;
  /** The policy comes with warnings. */
  readonly warned?: boolean;
  /** The first plain host also gets every request whose host is unknown. */
  readonly catchAll?: boolean;
  /** Of the Ingresses of all hosts. */
  readonly annotations?: Readonly<Record<string, string>>;
  readonly config?: Partial<Config>;
  /** Clients are closed at the end of the file only. */
  readonly keepClients?: boolean;
}

/** The address whose forwarding headers are believed. */
export const TRUSTED = '127.0.0.9';
/** A host whose Service has no endpoint. */
export const EMPTY_HOST = 'empty.test';
/** The cookie of hosts with a policy. */
export const COOKIE = 'SESSION';

const COOKIE_POLICY: PolicyOptions = { rules: [{ name: 'browsers', cookie: { name: COOKIE } }] };

export class Lab {
  readonly app: App;
  readonly #plain: Site[];
  readonly #sticky: Site[];
  readonly #all: readonly Site[];

  constructor(app: App, plain: Site[], sticky: Site[]) {
    this.app = app;
    this.#plain = plain;
    this.#sticky = sticky;
    this.#all = [...plain, ...sticky];
  }

  get ports(): Ports {
    return { http: this.app.port, https: this.app.httpsPort };
  }

  /** A host that no other case has. */
  site(): Site {
    return taken(this.#plain, 'plain');
  }

  /** The same with a cookie policy. */
  stickySite(): Site {
    return taken(this.#sticky, 'sticky');
  }

  /** What the proxy has done wrong towards any backend since this was asked last. */
  takeFaults(): Error[] {
    return this.#all.flatMap(({ backend }) => backend.faults.splice(0));
  }

  /** Puts a site's only endpoint into another state and waits until it is live. */
  async setEndpoint(
    site: Site,
    state: { readonly ready: boolean; readonly serving: boolean; readonly terminating: boolean },
  ): Promise<void> {
    await this.app.change(`${site.name}.slice.yaml`, sliceOf(site, state));
  }

  /** Gives a site another endpoint, at another backend, and waits until it is live. */
  async addEndpoint(site: Site, backend: HostileBackend, name = 'other'): Promise<void> {
    const pod = `${site.name}-${name}`;
    const endpoints = [{ pod, port: backend.port }];
    await this.app.change(`${site.name}.${name}.yaml`, slice({ service: site.name, name: pod, endpoints }));
  }

  async limitHits(limit: string): Promise<number> {
    return (await this.app.metrics()).value('holdfast_limit_hits_total', { limit });
  }

  async errors(source: string, code: number): Promise<number> {
    return (await this.app.metrics()).value('holdfast_http_errors_total', { source, code: String(code) });
  }

  /** Runs `act` and waits until the limit has been counted `times` more. */
  async counts(limit: string, act: () => Promise<unknown>, times = 1): Promise<void> {
    const before = await this.limitHits(limit);
    await act();
    await eventually(async () => (await this.limitHits(limit)) === before + times);
  }

  /** Runs `act` and waits until one more error of that kind has been counted. */
  async countsError(source: string, code: number, act: () => Promise<unknown>): Promise<void> {
    const before = await this.errors(source, code);
    await act();
    await eventually(async () => (await this.errors(source, code)) === before + 1);
  }
}

/** Closed at the end of the file; clients after every test. One worker, so that all clients meet the same pool of connections. */
export async function startLab(options: LabOptions): Promise<Lab> {
  const plain = await sites('plain', options.plain);
  const sticky = await sites('sticky', options.sticky ?? 0);
  const manifests: Record<string, string> = {
    'empty.yaml': file(ingress({ name: 'empty', host: EMPTY_HOST, service: 'empty' }), service('empty')),
  };
  for (const site of [...plain, ...sticky]) {
    const { name, host } = site;
    const { annotations = {} } = options;
    manifests[`${name}.yaml`] = file(ingress({ name, host, service: name, annotations }), service(name, appProtocol()));
    manifests[`${name}.slice.yaml`] = sliceOf(site, { ready: true, serving: true, terminating: false });
  }
  if (options.catchAll === true) {
    manifests['catch-all.yaml'] = ingress({ name: 'catch-all', service: plain[0]?.name ?? '' });
  }
  for (const { name } of sticky) {
    manifests[`${name}.policy.yaml`] = policy({ name, ingress: name, ...(options.policy ?? COOKIE_POLICY) });
  }
  // Read buffers are shared: bytes that somebody keeps without copying turn into junk at once.
  process.env['HF_TEST_POISON_READS'] = '1';
  const app = await startApp({
    manifests,
    config: { workers: 1, httpsPort: 0, h2c: true, trustedProxies: [TRUSTED], ...options.config },
  });
  closeAtEnd(async () => {
    closeWires();
  });
  const lab = new Lab(app, [...plain], [...sticky]);
  afterEach(() => {
    if (options.keepClients !== true) closeWires('clients');
    expect(lab.takeFaults()).toEqual([]);
    expect(app.logs.filter((line) => line.includes('"error"'))).toEqual([]);
  });
  const problems = await app.problems();
  expect(problems.filter(({ severity }) => options.warned !== true || severity !== 'warning')).toEqual([]);
  return lab;
}

async function sites(kind: string, count: number): Promise<Site[]> {
  const numbers = Array.from({ length: count }, (_, i) => i);
  return await Promise.all(
    numbers.map(async (i) => ({
      name: `${kind}-${i}`,
      host: `${kind}-${i}.test`,
      backend: await HostileBackend.start(),
    })),
  );
}

function sliceOf({ name, backend }: Site, state: { ready: boolean; serving: boolean; terminating: boolean }): string {
  return slice({ service: name, endpoints: [{ pod: `${name}-pod`, port: backend.port, ...state }] });
}

function taken(free: Site[], kind: string): Site {
  const site = free.shift();
  if (site === undefined) throw new Error(`there are more cases than ${kind} sites`);
  return site;
}
