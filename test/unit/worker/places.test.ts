/** Endpoints by the ref that the session table keeps. */
import { expect, test } from 'vitest';
import { READY, type LivePool } from '../../../src/model/live.ts';
import { refOf } from '../../../src/shared/session-entries.ts';
import { Places } from '../../../src/worker/places.ts';

const VIEW = { seeds: new Int32Array(0), byPrefix: new Map(), prefixes: new Map() };

/** `slots`: with the generation that the endpoint has its slot in. */
function pool(slots: readonly (readonly [slot: number, generation: number])[]): LivePool {
  return {
    ...{ key: 'ns/web:80', slot: 0, namespace: 'ns', service: 'web', port: 80 },
    endpoints: slots.map(([slot, generation]) => ({
      ...{ slot, ref: refOf(slot, generation), address: '10.0.0.1', port: 80, pod: `p-${slot}` },
      service: { namespace: 'ns', name: 'web', protocol: 'HTTP' as const },
      ...{ state: READY, since: 0, wasReady: true },
    })),
    ready: Int32Array.from(slots.keys()),
    draining: new Int32Array(0),
    identity: { PodUID: VIEW, PodName: VIEW, Address: VIEW },
    ...{ firstSeen: 0, left: new Map() },
  };
}

test('an endpoint is found in its pool, and not after it has left', () => {
  const places = new Places();
  const before = pool([
    [7, 0],
    [3, 2],
  ]);
  places.add(before);
  expect(places.get(refOf(3, 2))).toEqual({ pool: before, index: 1 });
  expect(places.get(refOf(9, 0))).toBeUndefined();

  const after = pool([[3, 2]]);
  places.remove(before);
  places.add(after);
  expect(places.get(refOf(3, 2))).toEqual({ pool: after, index: 0 });
  expect(places.get(refOf(7, 0))).toBeUndefined();
});

test('T1: who holds the slot next is not found by the ref of its former holder', () => {
  const places = new Places();
  const former = pool([[5, 0]]);
  places.add(former);
  places.remove(former);
  places.add(pool([[5, 1]]));
  expect(places.get(refOf(5, 0))).toBeUndefined();
  expect(places.get(refOf(5, 1))?.index).toBe(0);
});
