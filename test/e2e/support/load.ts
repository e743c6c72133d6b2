/** Two hundred browsers at work while something happens, and what they have seen of it. */
import { expect } from 'vitest';
import { ask, Client, type Move } from './clients.ts';
import { eventually } from './kube.ts';
import type { Pods } from './pods.ts';

export const CLIENTS = 200;
/** Between two requests of one client, ms: what two cores carry beside a control plane, both ends of the traffic here. */
const PACE = 400;

export interface Load {
  readonly requests: number;
  readonly failures: readonly string[];
  readonly clients: readonly Client[];
  readonly moves: readonly Move[];
}

/** @param addresses of the replicas that a load balancer would send to at the time; each client asks them in turn */
export async function underLoad(
  addresses: () => readonly string[],
  host: string,
  what: (clients: readonly Client[]) => Promise<void>,
): Promise<Load> {
  const clients = Array.from({ length: CLIENTS }, () => new Client());
  const stop = new AbortController();
  const done = Promise.all(clients.map((client) => client.run(addresses, host, PACE, stop.signal)));
  try {
    await eventually(() => expect(clients.filter(({ uid }) => uid === '')).toEqual([]));
    await what(clients);
    const before = clients.map(({ requests }) => requests);
    await eventually(() => expect(clients.every(({ requests }, i) => requests > before[i]! + 2)).toBe(true));
  } finally {
    stop.abort();
    await done;
  }
  return {
    requests: clients.reduce((sum, client) => sum + client.requests, 0),
    failures: clients.flatMap(({ failures }) => failures),
    clients,
    moves: clients.flatMap(({ moves }) => moves),
  };
}

/** Nothing failed, and whoever moved had to: its pod was no longer obliged to serve, and was left once. */
export function expectOnlyForcedMoves({ failures, clients, moves }: Load, pods: Pods): void {
  expect(failures).toEqual([]);
  const needless = moves.filter(({ from, at }) => (pods.lives.get(from)?.servesUntil ?? Infinity) > at);
  expect(needless).toEqual([]);
  for (const client of clients) {
    const left = client.moves.map(({ from }) => from);
    expect(left, 'pods that one client left').toEqual([...new Set(left)]);
    expect(pods.lives.get(client.uid), 'where it is now').toMatchObject({ gone: false });
  }
}

/** Every session that lost its pod gets the same other pod from each replica, whoever is asked and however often. */
export async function expectSameChoices(
  addresses: readonly string[],
  host: string,
  moves: readonly Move[],
): Promise<void> {
  for (const { cookie } of moves) {
    const answers = await Promise.all(addresses.map((address) => ask(address, host, cookie)));
    const [first] = answers;
    for (const { status, uid, setCookie } of answers) {
      expect({ status, uid, cookies: setCookie.length }).toEqual({ status: 200, uid: first?.uid, cookies: 1 });
    }
  }
}
