/** Drives the parsers as a lane does, overwriting each read buffer as soon as it has been handed in, and writes down what happens. */
import type { Http1Error } from '../../../src/http1/error.ts';
import { DEFAULT_LIMITS } from '../../../src/http1/limits.ts';
import type { HeadLimits } from '../../../src/http1/limits.ts';
import type { RequestHead } from '../../../src/http1/request-head.ts';
import { RequestParser } from '../../../src/http1/request-parser.ts';
import type { ResponseHead } from '../../../src/http1/response-head.ts';
import { ResponseParser } from '../../../src/http1/response-parser.ts';

class Log {
  readonly events: string[] = [];
  private body = false;

  add(event: string): void {
    this.events.push(event);
    this.body = false;
  }

  /** Adjacent ranges are one event: how they were split says nothing. */
  addBody(text: string): void {
    const last = this.events.length - 1;
    if (this.body) this.events[last] += text;
    else this.events.push(`body ${text}`);
    this.body = true;
  }
}

/** All that is to be known of a head, as text. */
function snapshot(head: RequestHead | ResponseHead): string {
  const plain: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(head)) if (key !== 'marks' && key !== 'cookies') plain[key] = value;
  return JSON.stringify({ ...plain, marks: head.marks.cells.slice(0, head.marks.size) });
}

function visible(text: string): string {
  return text.replaceAll('\r', '\\r').replaceAll('\n', '\\n');
}

/** Cuts latin1 text at the given places. */
export function cut(wire: string, ...places: number[]): string[] {
  const bounds = [0, ...places.toSorted((a, b) => a - b), wire.length];
  return bounds.slice(1).map((end, i) => wire.slice(bounds[i], end));
}

/** Details also contain the state of each head; the summary is what fixtures expect. */
export interface Recording {
  readonly summary: string;
  readonly details: string;
}

export function recordRequests(
  pieces: readonly string[],
  limits: HeadLimits = DEFAULT_LIMITS,
  onHead?: (head: RequestHead, parser: RequestParser) => void,
): Recording {
  const log = new Log();
  const heads: string[] = [];
  let current = '';
  const parser: RequestParser = new RequestParser(
    {
      onHead: (head) => {
        current = snapshot(head);
        heads.push(current);
        log.add(`${head.method} ${head.target}`);
        onHead?.(head, parser);
      },
      onBody: (buffer, start, end) => log.addBody(visible(buffer.toString('latin1', start, end))),
      onTrailers: (lines) => log.add(`trailers ${visible(lines)}`),
      onEnd: () => log.add('end'),
      onError: (error: Http1Error) => log.add(`error ${error.status} ${error.code}`),
    },
    limits,
  );
  for (const piece of pieces) {
    const buffer = Buffer.from(piece, 'latin1');
    for (let at = 0; at < buffer.length;) {
      const stop = parser.execute(buffer, at, buffer.length);
      if (stop === at && !parser.done) break;
      buffer.fill(0x5a, at, stop);
      at = stop;
      if (current !== '' && snapshot(parser.head) !== current) throw new Error('a head changed with the read buffer');
      if (parser.done) {
        parser.reset();
        current = '';
      }
    }
    buffer.fill(0x5a);
  }
  const failed = log.events.at(-1)?.startsWith('error') === true;
  if (!failed && !parser.idle) log.add('partial');
  if (log.events.length === 0) log.add('idle');
  return { summary: log.events.join(' | '), details: [...log.events, ...heads].join('\n') };
}

export function recordResponse(
  pieces: readonly string[],
  method = 'GET',
  closed = false,
  limits: HeadLimits = DEFAULT_LIMITS,
  onHead?: (head: ResponseHead) => void,
): Recording {
  const log = new Log();
  const heads: string[] = [];
  let left = 0;
  let interim = false;
  let over = false;
  const parser = new ResponseParser(
    {
      onInterim: (head) => {
        heads.push(snapshot(head));
        log.add(`interim ${head.status}`);
        interim = true;
        onHead?.(head);
      },
      onHead: (head) => {
        heads.push(snapshot(head));
        log.add(`${head.status} ${head.reason}`);
        over = head.status === 101;
        interim = false;
        onHead?.(head);
      },
      onBody: (buffer, start, end) => log.addBody(visible(buffer.toString('latin1', start, end))),
      onTrailers: (lines) => log.add(`trailers ${visible(lines)}`),
      onEnd: () => {
        log.add('end');
        over = true;
      },
      onError: (error) => log.add(`error ${error.status} ${error.code}`),
    },
    limits,
  );
  parser.reset(method);
  for (const piece of pieces) {
    const buffer = Buffer.from(piece, 'latin1');
    const stop = parser.execute(buffer, 0, buffer.length);
    if (over) left += buffer.length - stop;
    buffer.fill(0x5a);
  }
  if (closed) parser.finish();
  const failed = log.events.at(-1)?.startsWith('error') === true;
  if (left > 0) log.add(`left ${left}`);
  else if (!failed && !over) log.add(interim && parser.idle ? 'idle' : 'partial');
  return { summary: log.events.join(' | '), details: [...log.events, ...heads].join('\n') };
}
