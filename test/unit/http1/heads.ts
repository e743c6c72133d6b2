/** Heads parsed from text, for tests of what is done with them. */
import { DEFAULT_LIMITS } from '../../../src/http1/limits.ts';
import { readRequestHead } from '../../../src/http1/read-request.ts';
import { readResponseHead } from '../../../src/http1/read-response.ts';
import { RequestHead } from '../../../src/http1/request-head.ts';
import { ResponseHead } from '../../../src/http1/response-head.ts';

/** The head of `line` with `lines`, which must be valid. */
export function requestHead(lines: readonly string[], line = 'GET / HTTP/1.1'): RequestHead {
  const head = new RequestHead();
  const fault = readRequestHead(head, [line, ...lines, '\r\n'].join('\r\n'), DEFAULT_LIMITS);
  if (fault !== undefined) throw new Error(fault.code);
  return head;
}

export function responseHead(lines: readonly string[], line = 'HTTP/1.1 200 OK', method = 'GET'): ResponseHead {
  const head = new ResponseHead();
  const fault = readResponseHead(head, [line, ...lines, '\r\n'].join('\r\n'), DEFAULT_LIMITS, method);
  if (fault !== undefined) throw new Error(fault.code);
  return head;
}
