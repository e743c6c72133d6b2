/** How long a worker stops for a change of the table: 5,000 Ingresses and 50,000 endpoints, changed one by one. */
import type { Pauses, SwapOptions } from '../programs/swap.ts';
import type { Scenario } from '../support/lab.ts';
import { program } from '../support/load.ts';

const CHANGES = 1000;
const KINDS = [
  { name: 'pods of a Service replaced', of: 'pods' },
  { name: 'an Ingress more', of: 'ingress' },
] as const;

export const swap: Scenario = {
  name: 'swap',
  about: 'the pause of a worker when the table changes, at 50,000 endpoints',
  programs: [],
  async run(lab) {
    const question = {
      title: 'Pause of a worker for a change, 5,000 Ingresses and 50,000 endpoints',
      unit: 'p99, ms',
      goals: Object.fromEntries(KINDS.map(({ name }) => [name, '≤ 1'])),
    };
    const report = await lab.compare(
      question,
      KINDS,
      async ({ of }) => {
        const options: SwapOptions = { of, changes: lab.quick ? CHANGES / 10 : CHANGES };
        const { p50, p99, most } = await program<Pauses>(lab, 'swap', options);
        return { figure: p99, more: { p50, most } };
      },
      0,
    );
    return [report];
  },
};
