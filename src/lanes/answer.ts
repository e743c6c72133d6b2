/** Answers of our own, as the client's request wants them. */
import { errorText } from '../http1/answers.ts';
import type { RequestHead } from '../http1/request-head.ts';
import type { LaneContext } from './context.ts';

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
  return errorText({
    status: refusal.status,
    code: refusal.code,
    message: refusal.message,
    requestId,
    accept: head?.header('accept') ?? '',
    close,
    keepAlive: !close && head?.minor === 0,
    headOnly: head?.method === 'HEAD',
    serverHeader: ctx.settings.serverHeader,
    date: ctx.httpDate(),
    extra: refusal.extra ?? '',
  });
}

const RETRY_SOON = 'Retry-After: 1\r\n';

/** Sentences for refusals that any lane may have to give. */
export const REFUSALS = {
  badAuthority: { status: 400, code: 'bad_host', message: 'The Host header is not a valid authority' },
  noRoute: { status: 404, code: 'no_route', message: 'No route matches this host and path' },
  noBackend: { status: 503, code: 'no_backend', message: 'The backend of this route is not usable' },
  bodyTimeout: { status: 408, code: 'body_timeout', message: 'The request body did not arrive in time' },
  sendTimeout: { status: 504, code: 'send_timeout', message: 'The backend did not take the request body in time' },
  responseTimeout: { status: 504, code: 'response_timeout', message: 'The backend did not answer in time' },
  closedEarly: { status: 502, code: 'closed_early', message: 'The backend closed the connection before it answered' },
  badResponse: { status: 502, code: 'bad_response', message: 'The backend sent a malformed response' },
} as const satisfies Record<string, Refusal>;

/** No endpoint took the request: a policy's status, a failed connect, or none there. */
export function noEndpoint(status: number, code: string): Refusal {
  const message =
    status === 504
      ? 'No endpoint of the backend could be reached in time'
      : code.startsWith('connect_')
        ? 'No endpoint of the backend could be reached'
        : code === 'capacity'
          ? 'The endpoint of this session is at its limit of requests in flight'
          : 'No endpoint of the backend is available to this session';
  return status === 503 ? { status, code, message, extra: RETRY_SOON } : { status, code, message };
}
