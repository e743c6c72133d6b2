/** Answers of the API server that are no success, by HTTP status or within a watch stream. */
import type { IncomingHttpHeaders } from 'node:http';

export const GONE = 410;

export class ApiFault extends Error {
  override readonly name = 'ApiFault';
  readonly status: number;
  /** The server asks to wait so long: ms; undefined = it does not say. */
  readonly retryAfter: number | undefined;

  constructor(status: number, message: string, retryAfter?: number) {
    super(message);
    this.status = status;
    this.retryAfter = retryAfter;
  }
}

/** Of an answer whose body is a `Status` object, or anything else (a gateway's page, nothing). */
export function faultOfAnswer(status: number, headers: IncomingHttpHeaders, body: string): ApiFault {
  const said = readStatus(parsed(body));
  const seconds = headers['retry-after'] ?? '';
  const retryAfter = /^\d{1,6}$/.test(seconds) ? Number(seconds) * 1000 : said.retryAfter;
  return new ApiFault(status, said.message ?? `the API server answered ${status}`, retryAfter);
}

/** Of the object of an `ERROR` event. */
export function faultOfStatus(object: unknown): ApiFault {
  const { code, message, retryAfter } = readStatus(object);
  return new ApiFault(code ?? 500, message ?? 'the API server ended the watch with an error', retryAfter);
}

interface Said {
  readonly code: number | undefined;
  readonly message: string | undefined;
  readonly retryAfter: number | undefined;
}

/** `Status` v1 (API machinery, meta/v1). */
function readStatus(object: unknown): Said {
  const { code, reason, message, details } = recordOf(object);
  const seconds = recordOf(details)['retryAfterSeconds'];
  const gone = reason === 'Expired' || reason === 'Gone' ? GONE : undefined;
  return {
    code: typeof code === 'number' && code > 0 ? code : gone,
    message: typeof message === 'string' && message !== '' ? message.slice(0, 1000) : undefined,
    retryAfter: typeof seconds === 'number' && seconds > 0 ? seconds * 1000 : undefined,
  };
}

function parsed(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    return undefined;
  }
}

export function recordOf(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {};
}
