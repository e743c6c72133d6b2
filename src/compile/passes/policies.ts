/** Pass 4: a StickyPolicy's spec with all defaults applied. */
import type { CompiledPolicy, CompiledRule, PolicyId, RuleBackend } from '../../model/policy.ts';
import type { Rule, StickyPolicySpec, WeightedBackend } from '../../model/sticky-policy.ts';
import { parseDuration } from '../../model/duration.ts';
import { compileRuleKey } from '../../rules/rules.ts';

export interface PolicyName {
  readonly id: PolicyId;
  readonly namespace: string;
  readonly name: string;
}

const DEFAULTS = {
  identity: 'PodUID',
  algorithm: 'LeastRequests',
  onFull: 'Overflow',
  stickTo: 'Pod',
  weight: 1,
  lostAction: 'Reassign',
  lostStatus: 503,
  notReadyGrace: '3s',
  /** A pod of a StatefulSet is made anew under its name within that time. */
  goneGrace: { PodName: '30s', PodUID: '0s', Address: '0s' },
  drainAction: 'Keep',
  attempts: 2,
  changeOnFailure: true,
} as const;

/** A policy without rules: one Insert cookie, all defaults. */
const NO_RULES: readonly Rule[] = [{ name: 'default', cookie: {} }];

/** `spec` has passed the schema. */
export function compilePolicy({ id, namespace, name }: PolicyName, spec: StickyPolicySpec): CompiledPolicy {
  const { session, newSession, onEndpointLost: lost, drain, retry, rebalance } = spec;
  const identity = session?.identity ?? DEFAULTS.identity;
  const rules = spec.rules === undefined || spec.rules.length === 0 ? NO_RULES : spec.rules;
  return {
    id,
    namespace,
    name,
    group: session?.group,
    stickTo: session?.stickTo ?? DEFAULTS.stickTo,
    identity,
    idleTimeout: milliseconds(session?.idleTimeout),
    absoluteTimeout: milliseconds(session?.absoluteTimeout),
    rules: rules.map((rule) => compileRule(rule, milliseconds(session?.idleTimeout))),
    algorithm: newSession?.algorithm ?? DEFAULTS.algorithm,
    slowStart: milliseconds(newSession?.slowStart),
    maxSessionsPerEndpoint: newSession?.maxSessionsPerEndpoint ?? 0,
    onFull: newSession?.onFull ?? DEFAULTS.onFull,
    lost: {
      action: lost?.action ?? DEFAULTS.lostAction,
      statusCode: lost?.statusCode ?? DEFAULTS.lostStatus,
      notReadyGrace: milliseconds(lost?.notReadyGrace ?? DEFAULTS.notReadyGrace),
      preferVersion: lost?.preferVersion ?? 'Any',
      goneGrace: milliseconds(lost?.goneGrace ?? DEFAULTS.goneGrace[identity]),
    },
    drain: { action: drain?.action ?? DEFAULTS.drainAction, maxDuration: milliseconds(drain?.maxDuration) },
    retry: {
      attempts: retry?.attempts ?? DEFAULTS.attempts,
      changeOnFailure: retry?.changeOnFailure ?? DEFAULTS.changeOnFailure,
    },
    ...(rebalance === undefined
      ? {}
      : { rebalance: { maxMovesPerMinute: rebalance.maxMovesPerMinute, idleFor: milliseconds(rebalance.idleFor) } }),
  };
}

function compileRule(rule: Rule, idleTimeout: number): CompiledRule {
  return {
    name: rule.name,
    when: rule.when,
    onMissing: rule.onMissing ?? 'Next',
    force: rule.force ?? false,
    ...(rule.backends === undefined ? {} : { backends: rule.backends.map(compileBackend) }),
    key: compileRuleKey(rule, idleTimeout),
  };
}

function compileBackend({ service: { name, port }, weight }: WeightedBackend): RuleBackend {
  return { service: name, port: port.number ?? port.name ?? '', weight: weight ?? DEFAULTS.weight };
}

/** Unset = 0 = off. The schema lets nothing through that does not parse. */
function milliseconds(duration: string | undefined): number {
  return duration === undefined ? 0 : (parseDuration(duration) ?? 0);
}
