/** What was said of sessions by hand, in the session store: there it outlives all replicas. Sealed, as it names Services. */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import type { KeyRing } from '../affinity/keyring.ts';
import { OBSERVED } from '../model/live.ts';
import type { StoreClient } from '../session-store/client.ts';
import { SessionStore } from '../session-store/store.ts';
import { readOrders } from './session-messages.ts';
import type { OrderSink, SessionOrder, SessionOrders } from './session-orders.ts';

export interface OrderStoreOptions {
  readonly open: (onError: (error: Error) => void) => Promise<StoreClient>;
  readonly orders: Pick<SessionOrders, 'kept' | 'obey'>;
  readonly keys: () => KeyRing;
  readonly clock: () => number;
  /** Hears what is a bug: on the main thread nobody else does. */
  readonly onError: (error: unknown) => void;
}

/** The store is no replica that could have missed it: whoever asks for an order hears of those. */
const NO_REPLICA = { asked: 0, answered: 0 };

const CIPHER = 'aes-256-gcm';
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

export class OrderStore implements OrderSink {
  readonly #options: OrderStoreOptions;
  readonly #store: SessionStore;
  #exchanged: Promise<void> = Promise.resolve();
  /** There was no answer, so the store may not have it all. */
  #behind = false;

  constructor(options: OrderStoreOptions) {
    this.#options = options;
    this.#store = new SessionStore({
      open: options.open,
      // The workers count and say how the store is; they ask it all the time.
      onAsked: () => undefined,
      onTurn: (up) => {
        if (up) this.#exchanged = this.#exchange().catch(options.onError);
      },
    });
  }

  /** Takes over what the store remembers, now and when it is back; resolves in two seconds or so, with or without it. */
  async start(): Promise<void> {
    await this.#store.start();
    await this.#exchanged;
  }

  /** To be called from time to time: what the store has missed it is told again. */
  async catchUp(): Promise<void> {
    if (this.#behind) await this.#exchange();
  }

  stop(): void {
    this.#store.stop();
  }

  async send(order: SessionOrder): Promise<typeof NO_REPLICA> {
    // Keys that the tables alone know are told to the store by their next use.
    if (order.region === OBSERVED) await this.#remember(order);
    return NO_REPLICA;
  }

  /** What it remembers counts here, and what it has lost meanwhile it is told. */
  async #exchange(): Promise<void> {
    const { orders, keys, clock } = this.#options;
    const { storeSeal } = keys();
    const sealed = await this.#store.recall(this.#name, clock());
    this.#behind = sealed === undefined;
    if (sealed === undefined) return;
    const found = sealed.flatMap((text) => read(storeSeal, text));
    orders.obey(found);
    const known = new Set(found.map(({ high, low, from }) => `${high} ${low} ${from}`));
    for (const order of orders.kept)
      if (!known.has(`${order.high} ${order.low} ${order.from}`)) await this.#remember(order);
  }

  async #remember(order: SessionOrder): Promise<void> {
    const { keys, clock } = this.#options;
    const text = seal(keys().storeSeal, JSON.stringify([order]));
    if (!(await this.#store.remember(this.#name, text, order.until, clock()))) this.#behind = true;
  }

  /** No scope of sessions has this text. */
  get #name(): string {
    return this.#options.keys().storeName('orders', '');
  }
}

function seal(key: KeyObject, text: string): string {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv(CIPHER, key, nonce);
  return Buffer.concat([nonce, cipher.update(text, 'utf8'), cipher.final(), cipher.getAuthTag()]).toString('base64url');
}

/** Nothing, where it was not sealed by replicas with these keys. */
function read(key: KeyObject, sealed: string): SessionOrder[] {
  try {
    const bytes = Buffer.from(sealed, 'base64url');
    const decipher = createDecipheriv(CIPHER, key, bytes.subarray(0, NONCE_BYTES));
    decipher.setAuthTag(bytes.subarray(-TAG_BYTES));
    const text = Buffer.concat([decipher.update(bytes.subarray(NONCE_BYTES, -TAG_BYTES)), decipher.final()]);
    return readOrders(JSON.parse(text.toString('utf8'))) ?? [];
  } catch {
    return [];
  }
}
