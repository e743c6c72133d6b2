/** How much work a pod still has, read from the shared gauges and the session table's counts. */
import type { DrainProgress } from '../admin/types.ts';
import type { Counted } from '../shared/counted.ts';
import { GAUGE, SESSION } from '../shared/layout.ts';
import type { DrainRules } from './configuration.ts';
import { slotLabels } from '../shared/slot-keys.ts';

/**
 * Over all pools and workers; addresses that the pod has left behind count as well. A pod that is not known has no work.
 * `uptime`: of this process, ms; a table that is young does not know the pod's sessions yet.
 */
export function drainProgress(
  counted: Counted,
  namespace: string,
  pod: string,
  rules: DrainRules,
  uptime: number,
): DrainProgress {
  let sessions = 0;
  let inFlight = 0;
  let upgraded = 0;
  for (const [key, slot] of counted.endpoints.entries()) {
    // An upgraded connection is in flight for balancing; here it is told apart. Most endpoints have neither these nor
    // sessions, so the key is taken apart last.
    const open = counted.blocks.gauge.sum(slot, GAUGE.inFlight);
    const active = Math.max(0, counted.blocks.session.sum(slot, SESSION.active));
    if (open === 0 && active === 0) continue;
    const [inNamespace, , , name] = slotLabels(key);
    if (inNamespace !== namespace || name !== pod) continue;
    const upgrades = counted.blocks.gauge.sum(slot, GAUGE.upgraded);
    upgraded += upgrades;
    sessions += active;
    inFlight += open - upgrades;
  }
  const held = rules.keeps && (sessions > 0 || uptime < rules.wait);
  return { sessions, inFlight, upgraded, done: inFlight === 0 && upgraded === 0 && !held };
}
