/** What other products' cookie values consist of: the text that stands for an endpoint, and stamps. */
import { FUTURE_TOLERANCE } from '../token.ts';
import type { ForeignProduct } from '../../model/sticky-policy.ts';

export interface ForeignValue {
  /** What names the endpoint. */
  readonly id: string;
  /** IngressNginx: which backend the id belongs to; empty = it does not say. */
  readonly backend: string;
  /** Wall clock, ms; 0 = it does not say. */
  readonly lastSeen: number;
  readonly firstSeen: number;
}

/** Values that more is in than an id are the application's own behind a prefix; of the id itself longer ones are none. */
const LONGEST_ID = 512;

/** What `value` may say, likeliest first; whether it means an endpoint is for the pool to tell. */
export function readForeign(product: ForeignProduct, value: string, now: number): ForeignValue[] {
  switch (product) {
    case 'IngressNginx':
      return splitBackend(value);
    case 'HAProxy':
      return withStamps(value, base64Time, now);
    case 'Tengine':
      return withStamps(value, unixTime, now);
    case 'Traefik':
    case 'F5':
      return plain(value);
  }
}

function plain(id: string): ForeignValue[] {
  return id === '' || id.length > LONGEST_ID ? [] : [{ id, backend: '', lastSeen: 0, firstSeen: 0 }];
}

/** `key|backend key`. */
function splitBackend(value: string): ForeignValue[] {
  const bar = value.indexOf('|');
  if (bar < 0) return plain(value);
  return plain(value.slice(0, bar)).map((read) => ({ ...read, backend: value.slice(bar + 1) }));
}

/** `id`, `id|last seen`, `id|last seen|first seen`, or in the products' mode prefix `id~the application's value`. */
function withStamps(value: string, time: (text: string) => number, now: number): ForeignValue[] {
  const tilde = value.indexOf('~');
  const prefix = tilde < 0 ? [] : plain(value.slice(0, tilde));
  const bar = value.indexOf('|');
  if (bar < 0) return [...plain(value), ...prefix];
  const [last = '', first = ''] = value.slice(bar + 1, bar + 1 + LONGEST_ID).split('|');
  // Both products take a stamp of more than a day ahead for none.
  const stamp = (text: string): number => (time(text) > now + FUTURE_TOLERANCE ? 0 : time(text));
  const stamps = { lastSeen: stamp(last), firstSeen: stamp(first) };
  return [...plain(value.slice(0, bar)).map((read) => ({ ...read, ...stamps })), ...prefix];
}

/** Tengine: Unix seconds. */
function unixTime(text: string): number {
  return /^\d{1,12}$/.test(text) ? Number(text) * 1000 : 0;
}

const BASE64 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';

/** HAProxy: 30 bits of Unix seconds divided by 4, as 5 characters. */
function base64Time(text: string): number {
  if (!/^[A-Za-z0-9+/]{5}$/.test(text)) return 0;
  let quarter = 0;
  for (const letter of text) quarter = quarter * 64 + BASE64.indexOf(letter);
  return quarter * 4 * 1000;
}
