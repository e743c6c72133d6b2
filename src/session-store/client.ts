/** The commands that the session store is used by, over a connection to Redis or Valkey: one server, Sentinel or Cluster. */
import type { SessionStoreAddress } from '../config/config.ts';

export interface StoreClient {
  /** What is stored under the name, at most `LOOK_BYTES` of it; empty = nothing, or nothing that is text. */
  find(name: string): Promise<string>;
  /**
   * Stores `value` for `ttl` ms, unless there is a value of ours with another tag than its own and `replaces` (empty =
   * none): answers what is there then. A value of its own tag stays, and lives `ttl` ms from now.
   */
  claim(name: string, value: string, ttl: number, replaces: string): Promise<string>;
  put(name: string, value: string, ttl: number): Promise<void>;
  remove(name: string): Promise<void>;
  /** Adds `member` to what is remembered under the name, until `until`; what is over at `now` goes. Wall clock, ms. */
  remember(name: string, member: string, until: number, now: number): Promise<void>;
  /** What is remembered under the name at `now` and after. */
  recall(name: string, now: number): Promise<string[]>;
  close(): void;
}

/** Whatever somebody has put there, no more than this comes back. */
const LOOK_BYTES = 32;
const CONNECT_MS = 1000;
const RECONNECT_MS = 250;
const MAX_QUEUED = 10_000;

/** `SET NX GET PX`, and the same as a compare-and-set, in one: a value that is not of ours is nobody's. */
const CLAIM = `
local found = redis.pcall('GETRANGE', KEYS[1], 0, ${LOOK_BYTES - 1})
if type(found) == 'string' and #found == #ARGV[1] and string.match(found, '^[%w_-]+$') then
  local tag = string.sub(found, 1, 12)
  if tag == string.sub(ARGV[1], 1, 12) then
    redis.call('PEXPIRE', KEYS[1], ARGV[2])
    return found
  end
  if tag ~= ARGV[3] then return found end
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return ARGV[1]`;

/** No more than these are remembered under a name: those that are over first make room. */
const MAX_REMEMBERED = 10_000;

const REMEMBER = `
if redis.call('TYPE', KEYS[1]).ok ~= 'zset' then redis.call('DEL', KEYS[1]) end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', ARGV[3])
redis.call('ZADD', KEYS[1], ARGV[2], ARGV[1])
redis.call('ZREMRANGEBYRANK', KEYS[1], 0, -${MAX_REMEMBERED + 1})
local last = redis.call('ZRANGE', KEYS[1], -1, -1, 'WITHSCORES')
redis.call('PEXPIREAT', KEYS[1], last[2])`;

/** What the three kinds of client have in common. */
interface Commands {
  getRange(key: string, start: number, end: number): Promise<unknown>;
  eval(script: string, options: { keys: string[]; arguments: string[] }): Promise<unknown>;
  set(key: string, value: string, options: { PX: number }): Promise<unknown>;
  del(key: string): Promise<unknown>;
  zRangeByScore(key: string, min: number, max: string): Promise<unknown>;
  destroy(): unknown;
}

/** Rejects when there is no connection within a second. `onError` hears what is wrong, also later. */
export async function openStore(address: SessionStoreAddress, onError: (error: Error) => void): Promise<StoreClient> {
  const commands = await connect(address, onError);
  return {
    find: async (name) => text(await unlessOther(commands.getRange(name, 0, LOOK_BYTES - 1))),
    claim: async (name, value, ttl, replaces) =>
      text(await commands.eval(CLAIM, { keys: [name], arguments: [value, String(ttl), replaces] })),
    put: async (name, value, ttl) => void (await commands.set(name, value, { PX: ttl })),
    remove: async (name) => void (await commands.del(name)),
    remember: async (name, member, until, now) =>
      void (await commands.eval(REMEMBER, { keys: [name], arguments: [member, String(until), String(now)] })),
    recall: async (name, now) => {
      const members = await unlessOther(commands.zRangeByScore(name, now, '+inf'));
      return Array.isArray(members) ? members.filter((member) => typeof member === 'string') : [];
    },
    close: () => close(commands),
  };
}

/** Another type of value under our name, undefined here, is nothing of ours, but no fault of the store's either. */
async function unlessOther(reply: Promise<unknown>): Promise<unknown> {
  try {
    return await reply;
  } catch (error) {
    if (error instanceof Error && error.message.startsWith('WRONGTYPE')) return undefined;
    throw error;
  }
}

function text(reply: unknown): string {
  return typeof reply === 'string' ? reply : '';
}

/** Rejects with the first thing that was wrong when there is no connection in time; nothing is left of it then. */
async function connect(address: SessionStoreAddress, onError: (error: Error) => void): Promise<Commands> {
  const client = await create(address);
  let fault: Error | undefined;
  client.on('error', (error: Error) => {
    fault ??= error;
    onError(error);
  });
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(fault ?? new Error('no connection in time')), CONNECT_MS);
  try {
    await Promise.race([client.connect(), late.promise]);
  } catch (error) {
    close(client);
    throw error;
  } finally {
    clearTimeout(timer);
  }
  return client;
}

interface Connectable extends Commands {
  connect(): Promise<unknown>;
  on(event: 'error', listener: (error: Error) => void): unknown;
}

async function create({ kind, nodes, database, master, ...address }: SessionStoreAddress): Promise<Connectable> {
  // Only where there is a store: it takes every worker some 20 MB.
  const { createClient, createCluster, createSentinel } = await import('@redis/client');
  const options = nodeOptions(address);
  const first = nodes[0];
  if (kind === 'cluster') {
    const rootNodes = nodes.map((node) => ({ socket: { ...options.socket, ...node } }));
    return createCluster({ RESP: 2, rootNodes, defaults: options });
  }
  if (kind === 'sentinel') {
    return createSentinel({
      RESP: 2,
      name: master,
      sentinelRootNodes: [...nodes],
      nodeClientOptions: { ...options, database },
      sentinelClientOptions: nodeOptions({ ...address, username: undefined, password: address.sentinelPassword }),
      passthroughClientErrorEvents: true,
    });
  }
  return createClient({ ...options, RESP: 2, database, socket: { ...options.socket, ...first } });
}

function nodeOptions({ tls, username, password }: Pick<SessionStoreAddress, 'tls' | 'username' | 'password'>) {
  return {
    socket: {
      connectTimeout: CONNECT_MS,
      reconnectStrategy: () => RECONNECT_MS,
      ...(tls ? { tls: true as const } : {}),
    },
    name: 'holdfast',
    disableClientInfo: true,
    // What cannot be asked now is not asked later: its request has gone on.
    disableOfflineQueue: true,
    commandsQueueMaxLength: MAX_QUEUED,
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
  };
}

/** A client that is not connected yet refuses to be closed in ways of its own. */
function close(client: Commands): void {
  Promise.resolve()
    .then(() => client.destroy())
    .catch(() => undefined);
}
