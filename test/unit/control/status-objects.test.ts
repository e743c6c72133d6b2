/** What a status shall look like, from the object as it is. */
import { describe, expect, test } from 'vitest';
import { ancestorsOf, loadBalancerOf, type RawObject } from '../../../src/control/status-objects.ts';
import { conditionsOf } from '../../../src/compile/passes/status.ts';
import type { PolicyStatus } from '../../../src/model/status.ts';

const NOW = Date.UTC(2026, 0, 1);
const OURS = 'holdfast.dev/ingress-controller';
const target = { group: '', kind: 'Service', name: 'web' };
const accepted: PolicyStatus = { uid: 'u', generation: 3, targets: [{ target, conditions: conditionsOf(undefined) }] };

function ancestors(raw: RawObject, over: { status?: PolicyStatus; refused?: string; now?: number } = {}) {
  const status = over.status ?? accepted;
  const { refused, now = NOW } = over;
  const change = ancestorsOf(raw, { controllerName: OURS, status, refused, now });
  return change?.['ancestors'] as Record<string, unknown>[] | undefined;
}

function object(list: unknown[] | undefined): RawObject {
  return { metadata: { name: 'p', namespace: 'ns', generation: 4 }, status: { ancestors: list } };
}

function times(list: Record<string, unknown>[] | undefined): unknown[] {
  return ((list?.[0]?.['conditions'] ?? []) as { lastTransitionTime: string }[]).map((one) => one.lastTransitionTime);
}

describe('ancestors', () => {
  test('one entry a target, and nothing to write once it stands there', () => {
    const list = ancestors(object(undefined));
    expect(list).toMatchObject([
      {
        ancestorRef: { group: '', kind: 'Service', namespace: 'ns', name: 'web' },
        controllerName: OURS,
        conditions: [
          { type: 'Accepted', status: 'True', reason: 'Accepted', observedGeneration: 3 },
          { type: 'ResolvedRefs', status: 'True' },
          { type: 'Programmed', status: 'True' },
        ],
      },
    ]);
    expect(ancestors(object(list), { now: NOW + 1e6 })).toBeUndefined();
  });

  test('a condition that stays keeps its time, one that changes gets a new one', () => {
    const before = ancestors(object(undefined));
    const conditions = conditionsOf({ reason: 'Conflicted', message: 'another was first' });
    const status = { uid: 'u', generation: 4, targets: [{ target, conditions }] };
    const after = ancestors(object(before), { status, now: NOW + 60_000 });
    expect(times(after)).toEqual(['2026-01-01T00:01:00Z', '2026-01-01T00:00:00Z', '2026-01-01T00:01:00Z']);
  });

  test('entries of others stay, are counted in the bound of 16, and ours go when nothing is ours any more', () => {
    const theirs = Array.from({ length: 15 }, (_, i) => ({
      ancestorRef: { name: `t${i}` },
      controllerName: 'other/x',
    }));
    const two = {
      uid: 'u',
      generation: 3,
      targets: [...accepted.targets, { ...accepted.targets[0]!, target: { ...target, name: 'b' } }],
    };
    const list = ancestors(object(theirs), { status: two });
    expect(list).toHaveLength(16);
    expect(list?.slice(0, 15)).toEqual(theirs);
    expect(ancestors(object(list), { status: { uid: 'u', generation: 3, targets: [] } })).toEqual(theirs);
    expect(ancestors(object(theirs), { status: { uid: 'u', generation: 3, targets: [] } })).toBeUndefined();
  });

  test('a refused policy is Invalid at its targets, in the generation that was read', () => {
    const list = ancestors(object(undefined), { refused: 'spec.rules: write one' });
    expect(list).toHaveLength(1);
    expect(list?.[0]?.['conditions']).toMatchObject([
      { type: 'Accepted', status: 'False', reason: 'Invalid', observedGeneration: 4, message: 'spec.rules: write one' },
      { type: 'ResolvedRefs', status: 'True' },
      { type: 'Programmed', status: 'False', reason: 'Invalid' },
    ]);
  });

  test('a refused policy that targets nothing of ours is not told about', () => {
    expect(
      ancestors(object(undefined), { status: { uid: 'u', generation: 0, targets: [] }, refused: 'no' }),
    ).toBeUndefined();
  });
});

describe('load balancer addresses', () => {
  const addresses = [{ ip: '203.0.113.7' }, { hostname: 'lb.example' }];

  test('are written when others stand there, and not when they do already, ports or not', () => {
    expect(loadBalancerOf({}, addresses)).toEqual({ loadBalancer: { ingress: addresses } });
    expect(loadBalancerOf({}, [])).toBeUndefined();
    const ports = { loadBalancer: { ingress: [{ ip: '203.0.113.7', ports: [] }, { hostname: 'lb.example' }] } };
    expect(loadBalancerOf({ status: ports }, addresses)).toBeUndefined();
    expect(loadBalancerOf({ status: ports }, [])).toEqual({ loadBalancer: { ingress: [] } });
  });
});
