/** Answers of our own, as the client's request wants them. */
import { errorText } from '../http1/answers.ts';
import type { Http1Error } from '../http1/error.ts';
import type { RequestHead } from '../http1/request-head.ts';
import type { ErrorSource } from '../shared/layout.ts';
import type { LaneContext } from './context.ts';
import { grpcLines, isGrpc } from './grpc.ts';

/** How long a client may go on sending after our last answer, so that it reads it before a reset (RFC 9112 section 9.6). */
export const LINGER_MS = 5000;

export interface Refusal {
  readonly status: number;
  /** Short machine code. */
  readonly code: string;
  /** One sentence without a full stop. */
  readonly message: string;
  /** Ready header lines, each ending in CR LF. */
  readonly extra?: string;
}

/** `head`: the request, as far as there is one. `close`: the connection ends with this answer. */
export function ownAnswer(
  ctx: LaneContext,
  refusal: Refusal,
  head: RequestHead | undefined,
  requestId: string,
  close: boolean,
): string {
  const { status, code, message } = refusal;
  return errorText({
    status,
    code,
    message,
    requestId,
    accept: head?.header('accept') ?? '',
    close,
    keepAlive: !close && head?.minor === 0,
    headOnly: head?.method === 'HEAD',
    serverHeader: ctx.settings.serverHeader,
    date: ctx.httpDate(),
    extra: refusal.extra ?? '',
    // The HTTP status of a gRPC answer is 200, whatever has happened.
    bodyless: head !== undefined && isGrpc(head) ? { status: 200, lines: grpcLines(status, code, message) } : undefined,
  });
}

/** Every method passes but CONNECT (RFC 9110 section 15.5.6 wants them named). */
const ALLOW = 'Allow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS, TRACE\r\n';

/** Of a request that its reader found malformed or beyond a limit. */
export function refusalOf({ status, code, reason }: Http1Error): Refusal {
  const message = reason.charAt(0).toUpperCase() + reason.slice(1);
  return { status, code, message, extra: status === 405 ? ALLOW : '' };
}

const RETRY_SOON = 'Retry-After: 1\r\n';

/** RFC 9110 section 15.4.9: the same request again, over HTTPS. `host` is normalized, `port` what clients see. */
export function toHttps(host: string, port: number, target: string): Refusal {
  const location = `https://${host}${port === 443 ? '' : `:${port}`}${target === '*' ? '' : target}`;
  return { status: 308, code: 'https', message: 'This host is served over HTTPS', extra: `Location: ${location}\r\n` };
}

/** Sentences for refusals that any lane may have to give. */
export const REFUSALS = {
  badAuthority: { status: 400, code: 'bad_host', message: 'The Host header is not a valid authority' },
  noAuthority: { status: 400, code: 'no_host', message: 'A request to this backend has to name a host' },
  misdirected: { status: 421, code: 'misdirected', message: 'This connection was not made for this host' },
  badCertificate: { status: 400, code: 'bad_certificate', message: 'The client certificate is not valid here' },
  noCertificate: {
    status: 400,
    code: 'no_certificate',
    message: 'No client certificate was sent, and one is required',
  },
  noProtocol: { status: 501, code: 'unknown_protocol', message: 'CONNECT to this protocol is not served' },
  noRoute: { status: 404, code: 'no_route', message: 'No route matches this host and path' },
  noBackend: { status: 503, code: 'no_backend', message: 'The backend of this route is not usable' },
  bodyTimeout: { status: 408, code: 'body_timeout', message: 'The request body did not arrive in time' },
  sendTimeout: { status: 504, code: 'send_timeout', message: 'The backend did not take the request body in time' },
  responseTimeout: { status: 504, code: 'response_timeout', message: 'The backend did not answer in time' },
  closedEarly: { status: 502, code: 'closed_early', message: 'The backend closed the connection before it answered' },
  badResponse: { status: 502, code: 'bad_response', message: 'The backend sent a malformed response' },
} as const satisfies Record<string, Refusal>;

/** By what `Plan.match` says of requests that it has no way for. */
export const UNMATCHED = {
  400: REFUSALS.badAuthority,
  404: REFUSALS.noRoute,
  421: REFUSALS.misdirected,
  495: REFUSALS.badCertificate,
  496: REFUSALS.noCertificate,
} as const;
export type Unmatched = keyof typeof UNMATCHED;

/** The request lacks what a rule with `onMissing: Reject` asks for. */
const KEY_MISSING: readonly string[] = [
  'missing_key',
  'no_token',
  'invalid_token',
  'unknown_key',
  'idle_expired',
  'absolute_expired',
];

/** No endpoint took the request: the decision's status and reason, or `connect_…` when none could be reached. */
export function noEndpoint(status: number, reason: string): Refusal & { readonly source: ErrorSource } {
  if (KEY_MISSING.includes(reason)) {
    const message = 'This route asks for a session key (a header, cookie or parameter) that the request does not have';
    return { status, code: 'key_required', message, source: 'client' };
  }
  const source = reason.startsWith('connect_') ? 'upstream' : 'internal';
  const refusal = { status, code: reason, message: whyNone(status, reason), source } as const;
  return status === 503 ? { ...refusal, extra: RETRY_SOON } : refusal;
}

function whyNone(status: number, reason: string): string {
  if (status === 504) return 'No endpoint of the backend could be reached in time';
  if (reason.startsWith('connect_')) return 'No endpoint of the backend could be reached';
  if (reason === 'capacity') return 'The endpoints of the backend have all the requests or sessions that they may have';
  return 'No endpoint of the backend is available to this session';
}
