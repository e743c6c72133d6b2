/** The kinds of value a setting can have: each a zod schema from text to the value. Their messages say what is allowed. */
import { isIP } from 'node:net';
import { z } from 'zod';
import { parseDuration } from '../model/duration.ts';
import { parseCidr } from '../model/ip.ts';
import type { HostPort, ObjectName, ServicePortRef, SessionStoreAddress } from './config.ts';
import { parseStoreUrl } from './store-url.ts';

const DAY = 24 * 60 * 60 * 1000;
const DNS_LABEL = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;
const DNS_SUBDOMAIN = /^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/;

/** A schema that parses text, refusing it with one message when `parse` gives undefined. */
function parsed<T>(allowed: string, parse: (text: string) => T | undefined): z.ZodType<T, string> {
  return z.string().transform((text, context): T => {
    const value = parse(text.trim());
    if (value !== undefined) return value;
    context.addIssue({ code: 'custom', message: allowed });
    return z.NEVER;
  });
}

export function text(allowed: string, pattern: RegExp): z.ZodType<string, string> {
  return parsed(allowed, (value) => (pattern.test(value) ? value : undefined));
}

export function path(): z.ZodType<string, string> {
  return text('write a path', /^[^\0]+$/);
}

export function flag(): z.ZodType<boolean, string> {
  return parsed('write true or false', (value) => (value === 'true' ? true : value === 'false' ? false : undefined));
}

export function oneOf<const T extends string>(...values: readonly T[]): z.ZodType<T, string> {
  return parsed(`write one of ${values.join(', ')}`, (value) => values.find((candidate) => candidate === value));
}

export function integer(min: number, max: number): z.ZodType<number, string> {
  return parsed(`write a whole number from ${min} to ${max}`, (value) => integerIn(value, min, max));
}

/** A port, or `off`: undefined. */
export function portOrOff(): z.ZodType<number | undefined, string> {
  return parsed<{ port: number | undefined }>('write a whole number from 0 to 65535, or off', (value) => {
    const port = integerIn(value, 0, 65535);
    return port !== undefined || value === 'off' ? { port } : undefined;
  }).transform(({ port }) => port);
}

/** Milliseconds from a GEP-2257 duration. */
export function duration(min: number): z.ZodType<number, string> {
  const range = min === 0 ? 'from 0s to 24h' : 'from 1ms to 24h';
  return parsed(`write a duration ${range} such as 500ms, 10s or 1m30s`, (value) => {
    const ms = parseDuration(value);
    return ms !== undefined && ms >= min && ms <= DAY ? ms : undefined;
  });
}

/** An address to bind; brackets are optional around IPv6. */
export function address(): z.ZodType<string, string> {
  return parsed('write an IP address such as 0.0.0.0, 127.0.0.1 or ::', bindable);
}

export function hostPort(): z.ZodType<HostPort, string> {
  return parsed('write HOST:PORT with an IP address, such as 127.0.0.1:9090 or [::]:9090', (value) => {
    const match = /^(?:\[([^[\]]*)\]|([^:[\]]*)):(\d+)$/.exec(value);
    const host = bindable(match?.[1] ?? match?.[2] ?? '');
    const port = integerIn(match?.[3] ?? '', 0, 65535);
    return host === undefined || port === undefined ? undefined : { host, port };
  });
}

/** `NS/NAME:PORT`. */
export function servicePort(): z.ZodType<ServicePortRef, string> {
  return parsed('write NAMESPACE/SERVICE:PORT such as default/web:80', (value) => {
    const [namespace = '', service = '', port = '', ...rest] = value.split(/[/:]/);
    if (rest.length > 0 || value.split('/').length !== 2 || value.indexOf('/') > value.indexOf(':')) return undefined;
    if (!DNS_LABEL.test(namespace) || !DNS_LABEL.test(service)) return undefined;
    const number = integerIn(port, 1, 65535);
    if (number !== undefined) return { namespace, service, port: number };
    return /^[a-z0-9-]{1,15}$/.test(port) && /[a-z]/.test(port) ? { namespace, service, port } : undefined;
  });
}

/** `NS/NAME`. */
export function objectName(example: string): z.ZodType<ObjectName, string> {
  return parsed(`write NAMESPACE/NAME such as ${example}`, (value) => {
    const [namespace = '', name = '', ...rest] = value.split('/');
    return rest.length === 0 && DNS_LABEL.test(namespace) && DNS_SUBDOMAIN.test(name) ? { namespace, name } : undefined;
  });
}

/** IP addresses or host names separated by commas. */
export function publicAddresses(): z.ZodType<readonly string[], string> {
  return parsed('write IP addresses or host names separated by commas, such as 203.0.113.7,lb.example', (value) =>
    list(value, (one) => (isIP(one) !== 0 || (DNS_SUBDOMAIN.test(one) && /[a-z]/.test(one)) ? one : undefined)),
  );
}

/** The session store's URL. */
export function storeUrl(): z.ZodType<SessionStoreAddress, string> {
  return parsed(
    'write redis://[USER:PASSWORD@]HOST:PORT[/DB], rediss:// for TLS, redis+sentinel://HOST:PORT,…/MASTER[/DB] or redis+cluster://HOST:PORT,…; percent-encode special characters of the password',
    parseStoreUrl,
  );
}

/** CIDRs separated by commas; a bare address stands for itself alone. */
export function cidrs(): z.ZodType<readonly string[], string> {
  return parsed('write CIDRs separated by commas, such as 10.0.0.0/8,fd00::/8', (value) => list(value, cidr));
}

export function namespaces(): z.ZodType<readonly string[], string> {
  return parsed('write namespaces separated by commas, such as shop,api', (value) =>
    list(value, (name) => (DNS_LABEL.test(name) ? name : undefined)),
  );
}

/** Names of objects separated by commas. */
export function objectNames(): z.ZodType<readonly string[], string> {
  return parsed('write names separated by commas, such as shop-tls,api-tls', (value) =>
    list(value, (name) => (DNS_SUBDOMAIN.test(name) ? name : undefined)),
  );
}

function cidr(value: string): string | undefined {
  const family = isIP(value);
  const full = family === 0 ? value : `${value}/${family === 4 ? 32 : 128}`;
  return parseCidr(full) === undefined ? undefined : full;
}

/** Empty text is an empty list; one bad item spoils it all. */
function list(value: string, item: (text: string) => string | undefined): readonly string[] | undefined {
  if (value === '') return [];
  const items = value.split(',').map((part) => item(part.trim()));
  return items.every((one) => one !== undefined) ? items : undefined;
}

function bindable(value: string): string | undefined {
  const bare = value.startsWith('[') && value.endsWith(']') ? value.slice(1, -1) : value;
  if (bare === 'localhost') return '127.0.0.1';
  return isIP(bare) === 0 ? undefined : bare;
}

function integerIn(value: string, min: number, max: number): number | undefined {
  if (!/^\d{1,15}$/.test(value)) return undefined;
  const number = Number(value);
  return number >= min && number <= max ? number : undefined;
}
