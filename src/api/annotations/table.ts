/** The one table of `holdfast.dev/*` annotations: what each accepts, means and defaults to. Reading, suggestions and the reference come from it. */
import { z } from 'zod';
import type { ClientVerification } from '../../model/certificate.ts';
import { formatDuration, parseDuration } from '../../model/duration.ts';
import type { ProxyVersion } from '../../model/ends.ts';
import type { Algorithm, SameSite } from '../../model/sticky-policy.ts';
import type { WantedProtocol } from '../../model/transport.ts';

export const PREFIX = 'holdfast.dev/';

/** Values of an Ingress's annotations, each undefined when the annotation is absent or malformed. */
export interface AnnotationSettings {
  affinity?: 'cookie' | 'header' | 'source-ip' | 'none';
  /** Name of a StickyPolicy in the Ingress's namespace. */
  stickyPolicy?: string;
  cookieName?: string;
  cookiePath?: string;
  cookieDomain?: string;
  cookieSameSite?: SameSite;
  cookieSecure?: 'Auto' | 'Always' | 'Never';
  /** GEP-2257, as the other durations here. */
  cookieMaxAge?: string;
  headerName?: string;
  idleTimeout?: string;
  absoluteTimeout?: string;
  drainTimeout?: string;
  onEndpointLost?: 'Reassign' | 'Reject';
  balance?: Algorithm;
  sslRedirect?: boolean;
  /** Value of Strict-Transport-Security. */
  hsts?: string;
  sendProxyProtocol?: ProxyVersion;
  canaryOverridesSession?: boolean;
  backendProtocol?: WantedProtocol;
  /** As `secretName` reads it. */
  backendTlsSecret?: string;
  backendTlsName?: string;
  /** As written: with a namespace or without. */
  authTlsSecret?: string;
  authTlsVerify?: ClientVerification['mode'] | 'off';
}

export type SettingName = keyof AnnotationSettings;

/** Which affinities a setting is for; `any` = every one that is sticky, `always` = even without affinity, `ingress` = it has nothing to do with sessions. */
type Audience = 'cookie' | 'header' | 'any' | 'always' | 'ingress';

export interface Annotation<K extends SettingName> {
  /** Behind the prefix. */
  readonly name: string;
  /** Text → value of the setting; its error message says what to write. Limits shared with StickyPolicy are checked by its schema. */
  readonly schema: z.ZodType<NonNullable<AnnotationSettings[K]>, string>;
  /** What may be written, for the reference. */
  readonly values: string;
  readonly meaning: string;
  readonly default: string;
  readonly audience: Audience;
  /** Where the setting ends up in a StickyPolicy spec, for findings of its schema; see `spec.ts`. */
  readonly specField: readonly (string | number)[];
}

export function choice<T extends string | boolean>(values: Readonly<Record<string, T>>): z.ZodType<T, string> {
  return z.string().transform((text, ctx): T => {
    const wanted = text.trim().toLowerCase();
    if (Object.hasOwn(values, wanted)) return values[wanted] as T;
    ctx.addIssue(`this value is not known; write ${Object.keys(values).join(' or ')}`);
    return z.NEVER;
  });
}

/** RFC 6797 section 6.1, with the directives that browsers know, in this order. */
const HSTS = /^max-age=(\d{1,10})(; *includeSubDomains)?(; *preload)?$/i;

const strictTransportSecurity = z.string().transform((value, ctx) => {
  const trimmed = value.trim();
  if (HSTS.test(trimmed)) return trimmed;
  ctx.addIssue(
    'this is no value of Strict-Transport-Security; write max-age=31536000 or max-age=31536000; includeSubDomains; preload',
  );
  return z.NEVER;
});

export const text = z.string().transform((value, ctx) => {
  const trimmed = value.trim();
  if (trimmed !== '') return trimmed;
  ctx.addIssue('this is empty; write a value or leave the annotation out');
  return z.NEVER;
});

const duration = z.string().transform((value, ctx) => {
  const trimmed = value.trim();
  if (parseDuration(trimmed) !== undefined) return trimmed;
  const guess = /^[0-9]{1,5}$/.test(trimmed) ? `\`${trimmed}s\`` : '`30s` or `1h30m`';
  ctx.addIssue(`this is not a duration; write one with its unit, such as ${guess}`);
  return z.NEVER;
});

const durationOrSeconds = z.string().transform((value, ctx) => {
  const trimmed = value.trim();
  if (parseDuration(trimmed) !== undefined) return trimmed;
  const seconds = /^[0-9]{1,9}$/.test(trimmed) ? Number(trimmed) : NaN;
  if (seconds <= 99_999 * 3600) return formatDuration(seconds * 1000);
  ctx.addIssue('this is neither a duration nor a number of seconds; write one such as `48h` or `172800`');
  return z.NEVER;
});

/** What a certificate may be for: RFC 1123 labels. No address, which is no server name (RFC 6066 section 3). */
const SERVER_NAME = /^(?=.{1,253}$)(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)*[a-z](?:[a-z0-9-]*[a-z0-9])?$/;

export const serverName = z.string().transform((value, ctx) => {
  const trimmed = value.trim().toLowerCase();
  if (SERVER_NAME.test(trimmed)) return trimmed;
  ctx.addIssue('this is no host name; write one such as `api.shop.svc`');
  return z.NEVER;
});

const objectName = z.string().transform((value, ctx) => {
  const trimmed = value.trim();
  if (/^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/.test(trimmed)) return trimmed;
  ctx.addIssue("this is not an object name; write the name of a StickyPolicy in the Ingress's namespace");
  return z.NEVER;
});

export const ANNOTATIONS: { readonly [K in SettingName]-?: Annotation<K> } = {
  affinity: {
    name: 'affinity',
    schema: choice({ cookie: 'cookie', header: 'header', 'source-ip': 'source-ip', none: 'none' }),
    values: '`cookie`, `header`, `source-ip`, `none`',
    meaning:
      'What keeps a client at its endpoint: a cookie of ours, the hash of a header or of the address; `none` balances freely.',
    default: 'no affinity',
    audience: 'always',
    specField: ['rules'],
  },
  stickyPolicy: {
    name: 'sticky-policy',
    schema: objectName,
    values: 'a name',
    meaning:
      "The StickyPolicy of this name in the Ingress's namespace applies; the other annotations here are ignored.",
    default: 'none',
    audience: 'always',
    specField: [],
  },
  cookieName: {
    name: 'cookie-name',
    schema: text,
    values: 'a cookie name',
    meaning: 'Name of the cookie.',
    default: '`hf-` and 8 hex digits made from the scope',
    audience: 'cookie',
    specField: ['rules', 0, 'cookie', 'name'],
  },
  cookiePath: {
    name: 'cookie-path',
    schema: text,
    values: 'a plain path',
    meaning: "The cookie's Path.",
    default: '`/`',
    audience: 'cookie',
    specField: ['rules', 0, 'cookie', 'path'],
  },
  cookieDomain: {
    name: 'cookie-domain',
    // A leading dot is an old spelling without a meaning of its own (RFC 6265 section 5.2.3).
    schema: text.transform((value) => value.replace(/^\./, '').toLowerCase()),
    values: 'a domain',
    meaning: "The cookie's Domain, written on answers for hosts that it covers.",
    default: 'none: the host itself',
    audience: 'cookie',
    specField: ['rules', 0, 'cookie', 'domains'],
  },
  cookieSameSite: {
    name: 'cookie-samesite',
    schema: choice({ lax: 'Lax', strict: 'Strict', none: 'None', unset: 'Unset' }),
    values: '`Lax`, `Strict`, `None`, `Unset`',
    meaning: 'The SameSite attribute. `None` needs `cookie-secure: always`.',
    default: '`Lax`',
    audience: 'cookie',
    specField: ['rules', 0, 'cookie', 'sameSite'],
  },
  cookieSecure: {
    name: 'cookie-secure',
    schema: choice({ auto: 'Auto', always: 'Always', never: 'Never', true: 'Always', false: 'Never' }),
    values: '`auto`, `always` (or `true`), `never` (or `false`)',
    meaning: 'The Secure attribute; `auto` = on answers to requests that came over TLS.',
    default: '`auto`',
    audience: 'cookie',
    specField: ['rules', 0, 'cookie', 'secure'],
  },
  cookieMaxAge: {
    name: 'cookie-max-age',
    schema: durationOrSeconds,
    values: 'a duration or a number of seconds',
    meaning: 'Lifetime in the browser.',
    default: 'until the browser is closed',
    audience: 'cookie',
    specField: ['rules', 0, 'cookie', 'maxAge'],
  },
  headerName: {
    name: 'header-name',
    schema: text,
    values: 'a header name',
    meaning: 'Name of the header that is hashed.',
    default: 'none: `affinity: header` needs it',
    audience: 'header',
    specField: ['rules', 0, 'header', 'name'],
  },
  idleTimeout: {
    name: 'idle-timeout',
    schema: duration,
    values: 'a duration',
    meaning: 'A session ends when it has not been used for so long.',
    default: 'never',
    audience: 'cookie',
    specField: ['session', 'idleTimeout'],
  },
  absoluteTimeout: {
    name: 'absolute-timeout',
    schema: duration,
    values: 'a duration',
    meaning: 'A session ends so long after it began.',
    default: 'never',
    audience: 'cookie',
    specField: ['session', 'absoluteTimeout'],
  },
  drainTimeout: {
    name: 'drain-timeout',
    schema: duration,
    values: 'a duration',
    meaning: 'Sessions leave a draining endpoint after so long.',
    default: 'no limit: they stay while it serves',
    audience: 'any',
    specField: ['drain', 'maxDuration'],
  },
  onEndpointLost: {
    name: 'on-endpoint-lost',
    schema: choice({ reassign: 'Reassign', reject: 'Reject' }),
    values: '`reassign`, `reject`',
    meaning:
      'What happens to a session whose endpoint is lost: it moves to another one, or its requests are answered 503.',
    default: '`reassign`',
    audience: 'any',
    specField: ['onEndpointLost', 'action'],
  },
  balance: {
    name: 'balance',
    schema: choice({
      'least-requests': 'LeastRequests',
      'least-sessions': 'LeastSessions',
      'round-robin': 'RoundRobin',
      random: 'Random',
      'power-of-two': 'PowerOfTwo',
      'peak-ewma': 'PeakEwma',
    }),
    values: '`least-requests`, `least-sessions`, `round-robin`, `random`, `power-of-two`, `peak-ewma`',
    meaning: 'How the endpoint of a client without a session is chosen.',
    default: '`least-requests`',
    audience: 'always',
    specField: ['newSession', 'algorithm'],
  },
  sslRedirect: {
    name: 'ssl-redirect',
    schema: choice({ true: true, false: false }),
    values: '`true`, `false`',
    meaning: 'Requests over plain HTTP to hosts that `tls` names are answered 308, to the same place under `https`.',
    default: '`true`',
    audience: 'ingress',
    specField: [],
  },
  hsts: {
    name: 'hsts',
    schema: strictTransportSecurity,
    values: '`max-age=SECONDS`, then perhaps `; includeSubDomains` and `; preload`',
    meaning:
      'Browsers use HTTPS alone for so long (RFC 6797): sent as `Strict-Transport-Security` with answers over HTTPS, unless the backend sends one itself.',
    default: 'none',
    audience: 'ingress',
    specField: [],
  },
  sendProxyProtocol: {
    name: 'send-proxy-protocol',
    schema: choice({ v1: 'v1', v2: 'v2' }),
    values: '`v1`, `v2`',
    meaning:
      'Connections to the endpoints begin with a PROXY protocol header of that version, which names the client; each client then has connections of its own.',
    default: 'none',
    audience: 'ingress',
    specField: [],
  },
  canaryOverridesSession: {
    name: 'canary-overrides-session',
    schema: choice({ true: true, false: false }),
    values: '`true`, `false`',
    meaning: 'On a canary Ingress: header and cookie of the canary choose before a session does, which then moves.',
    default: '`false`',
    audience: 'ingress',
    specField: [],
  },
  backendProtocol: {
    name: 'backend-protocol',
    schema: choice({ http: 'HTTP', https: 'HTTPS', auto_http: 'AUTO_HTTP', grpc: 'GRPC', grpcs: 'GRPCS', h2c: 'H2C' }),
    values: '`HTTP`, `HTTPS`, `AUTO_HTTP`, `GRPC`, `GRPCS`, `H2C`',
    meaning:
      'How endpoints are spoken to. `AUTO_HTTP`: `HTTPS` for requests that came over HTTPS, `HTTP` for the others. `GRPC` and `H2C` are HTTP/2 in plain text, `GRPCS` over TLS.',
    default: "the Service port's `appProtocol`, else `HTTP`",
    audience: 'ingress',
    specField: [],
  },
  backendTlsSecret: {
    name: 'backend-tls-secret',
    schema: text,
    values: 'a name, or `NAMESPACE/NAME`',
    meaning:
      'Secret for TLS to endpoints: with `ca.crt` their certificates must be signed by it, `tls.crt` and `tls.key` are our client certificate. Without the Secret the routes answer 503.',
    default: 'none: nothing is verified',
    audience: 'ingress',
    specField: [],
  },
  backendTlsName: {
    name: 'backend-tls-name',
    schema: serverName,
    values: 'a host name',
    meaning:
      'The name that endpoints are asked for (SNI), and that their certificates must be for if they are verified.',
    default: '`SERVICE.NAMESPACE.svc` if they are verified, else none',
    audience: 'ingress',
    specField: [],
  },
  authTlsSecret: {
    name: 'auth-tls-secret',
    schema: text,
    values: 'a name, or `NAMESPACE/NAME`',
    meaning:
      'Clients have to show a certificate that the authorities in `ca.crt` of this Secret have signed, and not revoked by a list in `ca.crl`. [How](../ingress.md#client-certificates).',
    default: 'none: nobody is asked for a certificate',
    audience: 'ingress',
    specField: [],
  },
  authTlsVerify: {
    name: 'auth-tls-verify',
    schema: choice({ on: 'on', off: 'off', optional: 'optional', optional_no_ca: 'optional_no_ca' }),
    values: '`on`, `optional`, `optional_no_ca`, `off`',
    meaning:
      '`optional`: a certificate need not be there, but if it is it has to be good. `optional_no_ca`: as that, but anybody may have signed it. `off`: nobody is asked for one.',
    default: '`on`',
    audience: 'ingress',
    specField: [],
  },
};

export const SETTING_NAMES = Object.keys(ANNOTATIONS) as readonly SettingName[];
