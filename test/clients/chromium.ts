/** A headless Chromium with a profile of its own, and its tabs. */
import { rm } from 'node:fs/promises';
import { Readable, Writable } from 'node:stream';
import { closeAtEnd, makeFolder } from '../support/app.ts';
import { DevTools } from './devtools.ts';
import type { Fields } from './devtools.ts';
import { start } from './program.ts';

const FLAGS = [
  '--headless=new',
  '--no-sandbox',
  '--disable-gpu',
  '--no-first-run',
  '--no-proxy-server',
  '--remote-debugging-pipe',
  '--ignore-certificate-errors',
  // The tests' hosts are here, and nothing else is anywhere.
  '--host-resolver-rules=MAP *.test 127.0.0.1, MAP * ~NOTFOUND',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** Ended at the end of the test file. */
export async function startChromium(...flags: readonly string[]): Promise<Chromium> {
  const profile = await makeFolder();
  closeAtEnd(() => rm(profile, { recursive: true, force: true, maxRetries: 5 }));
  const all = [...FLAGS, `--user-data-dir=${profile}`, ...flags];
  const child = await start('chromium', all, ['ignore', 'ignore', 'ignore', 'pipe', 'pipe']);
  const [, , , to, from] = child.stdio;
  if (!(to instanceof Writable && from instanceof Readable)) throw new Error('there are no pipes');
  return new Chromium(new DevTools(to, from));
}

export class Chromium {
  readonly #tools: DevTools;

  constructor(tools: DevTools) {
    this.#tools = tools;
  }

  /** Cookies and connections of its own. */
  async newUser(): Promise<User> {
    const { browserContextId } = await this.#tools.ask('Target.createBrowserContext');
    return new User(this.#tools, browserContextId as string);
  }
}

export class User {
  readonly #tools: DevTools;
  readonly #context: string;

  constructor(tools: DevTools, context: string) {
    this.#tools = tools;
    this.#context = context;
  }

  async cookies(): Promise<readonly Fields[]> {
    const { cookies } = await this.#tools.ask('Storage.getCookies', { browserContextId: this.#context });
    return cookies as Fields[];
  }

  /** A tab that shows `url`. */
  async open(url: string): Promise<Tab> {
    const blank = { url: 'about:blank', browserContextId: this.#context };
    const { targetId } = await this.#tools.ask('Target.createTarget', blank);
    const { sessionId } = await this.#tools.ask('Target.attachToTarget', { targetId, flatten: true });
    const tab = new Tab(this.#tools, sessionId as string);
    await tab.show(url);
    return tab;
  }
}

export class Tab {
  readonly #tools: DevTools;
  readonly #session: string;

  constructor(tools: DevTools, session: string) {
    this.#tools = tools;
    this.#session = session;
  }

  async show(url: string): Promise<void> {
    await this.#ask('Page.enable');
    await this.#ask('Network.enable');
    const [, { errorText }] = await Promise.all([
      this.event('Page.loadEventFired'),
      this.#ask('Page.navigate', { url }),
    ]);
    if (typeof errorText === 'string') throw new Error(`${url}: ${errorText}`);
  }

  async reload(): Promise<void> {
    await Promise.all([this.event('Page.loadEventFired'), this.#ask('Page.reload')]);
  }

  /** The next event of this kind. To be called before what leads to it. */
  async event(method: string): Promise<Fields> {
    return await this.#tools.event(method, this.#session);
  }

  /** What the expression comes to in the page; a promise is waited for. @throws what it throws */
  async evaluate<T>(expression: string): Promise<T> {
    const how = { expression, awaitPromise: true, returnByValue: true };
    const { result, exceptionDetails } = await this.#ask('Runtime.evaluate', how);
    if (exceptionDetails !== undefined) throw new Error(`${expression}: ${JSON.stringify(exceptionDetails)}`);
    return (result as { readonly value: T }).value;
  }

  async #ask(method: string, params?: Fields): Promise<Fields> {
    return await this.#tools.ask(method, params, this.#session);
  }
}
