/** Answers that no backend gave: our own refusals and redirects. */
import { STATUS_CODES } from './status.ts';

export interface OwnAnswer {
  readonly status: number;
  /** Machine code: `code` of the JSON body. */
  readonly code: string;
  /** One sentence without a full stop for a human. */
  readonly message: string;
  /** Empty = none yet. */
  readonly requestId: string;
  /** Raw Accept value of the client; JSON is given when it asks for it. */
  readonly accept: string;
  /** The connection ends after this answer. */
  readonly close: boolean;
  /** An HTTP/1.0 client is to be told that the connection stays. */
  readonly keepAlive?: boolean | undefined;
  /** The answer is to a HEAD: everything but the body. */
  readonly headOnly: boolean;
  /** Value of Server; empty = none. */
  readonly serverHeader: string;
  /** Ready Date value; empty = none. */
  readonly date: string;
  /** Ready lines, each ending in CR LF: Retry-After, Location, Upgrade, … */
  readonly extra: string;
  /** Ready lines that say it all to a client that reads no body, and their status (gRPC); undefined = it reads one. */
  readonly bodyless?: { readonly status: number; readonly lines: string } | undefined;
}

/** Head and body as one latin1 text. */
export function errorText(answer: OwnAnswer): string {
  const { bodyless } = answer;
  const json = wantsJson(answer.accept);
  const type = json ? 'application/json' : 'text/plain; charset=utf-8';
  const body = bodyless !== undefined ? '' : json ? jsonBody(answer) : plainBody(answer);
  const status = bodyless?.status ?? answer.status;
  let out = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\n`;
  out += bodyless?.lines ?? `Content-Type: ${type}\r\n`;
  out += `Content-Length: ${body.length}\r\nCache-Control: no-store\r\n`;
  if (answer.date !== '') out += `Date: ${answer.date}\r\n`;
  if (answer.serverHeader !== '') out += `Server: ${answer.serverHeader}\r\n`;
  if (answer.requestId !== '') out += `X-Request-Id: ${answer.requestId}\r\n`;
  if (answer.close) out += 'Connection: close\r\n';
  else if (answer.keepAlive === true) out += 'Connection: keep-alive\r\n';
  out += `${answer.extra}\r\n`;
  return answer.headOnly ? out : out + body;
}

/** True when the client names JSON and does not prefer text: browsers name neither, API clients name JSON. */
export function wantsJson(accept: string): boolean {
  if (accept === '') return false;
  const lower = accept.toLowerCase();
  const json = /[/+]json(?![a-z0-9.+-])(?!\s*;\s*q=0(?:\.0*)?(?:[\s,;]|$))/.exec(lower);
  if (json === null) return false;
  const text = lower.search(/text\/(?:plain|html|\*)/);
  return text < 0 || json.index < text;
}

function plainBody(answer: OwnAnswer): string {
  const name = STATUS_CODES[answer.status] ?? 'Error';
  const id = answer.requestId === '' ? '' : `Request id: ${answer.requestId}\n`;
  return ascii(`${answer.status} ${name}\n${answer.message}.\n${id}`);
}

function jsonBody(answer: OwnAnswer): string {
  const { status, code, message, requestId } = answer;
  return ascii(
    `${JSON.stringify(requestId === '' ? { status, code, message } : { status, code, message, requestId })}\n`,
  );
}

/** Content-Length counts characters, which are bytes only in ASCII. */
function ascii(text: string): string {
  return text.replace(/[^\n -~]/g, '?');
}
