/** How much work a pod still has, read from the shared gauges. */
import type { DrainProgress } from '../admin/types.ts';
import type { Counted } from '../shared/counted.ts';
import { GAUGE } from '../shared/layout.ts';
import { slotLabels } from '../shared/slot-keys.ts';

/** Over all pools and workers; addresses that the pod has left behind count as well. A pod that is not known has no work. */
export function drainProgress(counted: Counted, namespace: string, pod: string): DrainProgress {
  let inFlight = 0;
  let upgraded = 0;
  for (const [key, slot] of counted.endpoints.entries()) {
    // An upgraded connection is in flight for balancing; here it is told apart. Most endpoints have neither, so the key is
    // taken apart last.
    const open = counted.blocks.gauge.sum(slot, GAUGE.inFlight);
    if (open === 0) continue;
    const [inNamespace, , , name] = slotLabels(key);
    if (inNamespace !== namespace || name !== pod) continue;
    const upgrades = counted.blocks.gauge.sum(slot, GAUGE.upgraded);
    upgraded += upgrades;
    inFlight += open - upgrades;
  }
  return { inFlight, upgraded, done: inFlight === 0 && upgraded === 0 };
}
