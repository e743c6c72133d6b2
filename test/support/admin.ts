/** What a running controller tells on its admin port. */
import type { ActiveProblem, VersionInfo } from '../../src/admin/types.ts';
import { eventually } from './eventually.ts';
import { Metrics } from './metrics.ts';

/** A Problem as the admin API writes it. */
export type ToldProblem = Omit<ActiveProblem, 'since'> & { readonly since: string };

export class Admin {
  readonly adminPort: number;

  constructor(adminPort: number) {
    this.adminPort = adminPort;
  }

  async admin(path: string): Promise<{ status: number; text: string }> {
    const response = await fetch(`http://127.0.0.1:${this.adminPort}${path}`);
    return { status: response.status, text: await response.text() };
  }

  async metrics(): Promise<Metrics> {
    const { status, text } = await this.admin('/metrics');
    if (status !== 200) throw new Error(`/metrics answered ${status}`);
    return new Metrics(text);
  }

  /** Problems in force. */
  async problems(): Promise<readonly ToldProblem[]> {
    return JSON.parse((await this.admin('/api/v1/problems')).text) as ToldProblem[];
  }

  /** Does something that changes the tables and waits until every worker serves by it. */
  async applied(act: () => Promise<unknown>): Promise<void> {
    const before = await this.#settled();
    await act();
    await eventually(async () => (await this.#settled()) > before);
  }

  /** The table that is in force, when none newer is on its way. */
  async #settled(): Promise<number> {
    return await eventually(async () => {
      const { table } = JSON.parse((await this.admin('/api/v1/version')).text) as VersionInfo;
      return table.live === table.newest && table.live;
    });
  }
}
