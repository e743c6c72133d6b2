/** Metrics of requests and decisions, by Ingress, Service, policy and rule. */
import { Counter } from 'prom-client';
import type { Registry } from 'prom-client';
import { OUTCOMES, REASONS } from '../model/decision.ts';
import {
  CEL_ERRORS,
  CODE_CLASSES,
  decisionField,
  DURATION_BUCKETS,
  DURATION_SUM,
  INVALID_TOKEN,
  movesField,
} from '../shared/layout.ts';
import { slotLabels } from '../shared/slot-keys.ts';
import { cellHistogram } from './cell-histogram.ts';
import type { HistogramSeries } from './cell-histogram.ts';
import type { MetricsSource } from './source.ts';

export function registerRequestMetrics(registry: Registry, { counted }: MetricsSource): void {
  new Counter({
    name: 'holdfast_requests_total',
    help: 'Requests answered, by class of status.',
    labelNames: ['namespace', 'ingress', 'service', 'code_class'],
    registers: [registry],
    collect() {
      this.reset();
      for (const [key, slot] of counted.route.entries()) {
        const [namespace = '', ingress = '', service = ''] = slotLabels(key);
        for (const [field, code_class] of CODE_CLASSES.entries()) {
          const value = counted.blocks.route.sum(slot, field);
          if (value > 0) this.inc({ namespace, ingress, service, code_class }, value);
        }
      }
    },
  });

  registry.registerMetric(
    cellHistogram(
      'holdfast_request_duration_seconds',
      'From the end of the request head to the end of the response.',
      DURATION_BUCKETS,
      () => durations({ counted }),
    ),
  );

  new Counter({
    name: 'holdfast_decisions_total',
    help: 'Requests by what was decided about their session, and why.',
    labelNames: ['namespace', 'policy', 'rule', 'outcome', 'reason'],
    registers: [registry],
    collect() {
      this.reset();
      for (const [key, slot] of counted.rule.entries()) {
        const [namespace = '', policy = '', rule = ''] = slotLabels(key);
        for (const [o, outcome] of OUTCOMES.entries()) {
          for (const [r, reason] of REASONS.entries()) {
            const value = counted.blocks.rule.sum(slot, decisionField(o, r));
            if (value > 0) this.inc({ namespace, policy, rule, outcome, reason }, value);
          }
        }
      }
    },
  });

  new Counter({
    name: 'holdfast_cel_errors_total',
    help: 'Evaluations of CEL expressions that failed: the condition did not hold, the key was missing.',
    labelNames: ['namespace', 'policy', 'rule'],
    registers: [registry],
    collect() {
      this.reset();
      for (const [key, slot] of counted.rule.entries()) {
        const [namespace = '', policy = '', rule = ''] = slotLabels(key);
        const value = counted.blocks.rule.sum(slot, CEL_ERRORS);
        if (value > 0) this.inc({ namespace, policy, rule }, value);
      }
    },
  });

  new Counter({
    name: 'holdfast_session_moves_total',
    help: 'Sessions that left their endpoint, and why; several requests of one session that move together count once.',
    labelNames: ['namespace', 'policy', 'reason'],
    registers: [registry],
    collect() {
      this.reset();
      for (const [key, slot] of counted.policy.entries()) {
        const [namespace = '', policy = ''] = slotLabels(key);
        for (const [r, reason] of REASONS.entries()) {
          const value = counted.blocks.policy.sum(slot, movesField(r));
          if (value > 0) this.inc({ namespace, policy, reason }, value);
        }
      }
    },
  });

  new Counter({
    name: 'holdfast_invalid_tokens_total',
    help: 'Requests whose token was forged, damaged, or signed with a key that is not known.',
    labelNames: ['namespace', 'policy', 'reason'],
    registers: [registry],
    collect() {
      this.reset();
      for (const [key, slot] of counted.policy.entries()) {
        const [namespace = '', policy = ''] = slotLabels(key);
        for (const [reason, field] of Object.entries(INVALID_TOKEN)) {
          this.inc({ namespace, policy, reason }, counted.blocks.policy.sum(slot, field));
        }
      }
    },
  });
}

function* durations({ counted }: Pick<MetricsSource, 'counted'>): Iterable<HistogramSeries> {
  const block = counted.blocks.service;
  for (const [key, slot] of counted.service.entries()) {
    const [namespace = '', service = ''] = slotLabels(key);
    const counts = Array.from({ length: DURATION_BUCKETS.length + 1 }, (_, bucket) => block.sum(slot, bucket));
    yield { labels: { namespace, service }, counts, sum: block.sum(slot, DURATION_SUM) };
  }
}
