/** Writes a backend's response to an HTTP/1.x client: head with our edits, body framed for the client. */
import { editSetCookie } from '../affinity/backend-cookies.ts';
import { issueToken } from '../affinity/issue.ts';
import { CHUNK_END, chunkHeader, lastChunk } from '../http1/chunks.ts';
import type { RequestHead } from '../http1/request-head.ts';
import type { ResponseHead } from '../http1/response-head.ts';
import { framingFor, responseText } from '../http1/serialize.ts';
import type { Outbox } from '../io/outbox.ts';
import type { LaneContext } from './context.ts';
import { responseHeaderEdits } from './header-edits.ts';
import type { Plan } from './plan.ts';

export class ResponseWriter {
  /** Trailers for the end of a chunked body, lines ending in CR LF. */
  trailers = '';
  readonly #ctx: LaneContext;
  readonly #plan: Plan;
  readonly #out: Outbox;
  readonly #editSetCookie: (line: string) => string;
  #request: RequestHead | undefined;
  #head: ResponseHead | undefined;
  #chunked = false;

  constructor(ctx: LaneContext, plan: Plan, out: Outbox) {
    this.#ctx = ctx;
    this.#plan = plan;
    this.#out = out;
    this.#editSetCookie = (line) => {
      const { affinity, decision, pool } = this.#plan;
      if (affinity === undefined || pool === undefined) return line;
      if (this.#request === undefined || this.#head === undefined) return line;
      return editSetCookie(decision, affinity, pool, this.#request, this.#head, this.#ctx.env, line);
    };
  }

  /** The last head carried a token. */
  issued = false;

  /** Returns whether the connection can stay open after this response. */
  head(head: ResponseHead, request: RequestHead, keepAlive: boolean): boolean {
    const { affinity, decision, pool } = this.#plan;
    const framing = framingFor(head, request.minor);
    const stays = keepAlive && framing !== 'close';
    this.#chunked = !head.bodyless && (framing === 'chunked' || (framing === 'same' && head.chunked));
    this.trailers = '';
    let extra = '';
    this.issued = false;
    let cacheControl: string | undefined;
    this.#plan.answered();
    if (affinity !== undefined && pool !== undefined && decision.issue >= 0) {
      const issued = issueToken(decision, affinity, pool, request, head, this.#ctx.env);
      this.issued = issued.setCookie !== undefined;
      if (issued.setCookie !== undefined) extra = `Set-Cookie: ${issued.setCookie}\r\n`;
      if (issued.markPrivate) cacheControl = 'private';
    }
    const hsts = this.#plan.route?.route.hsts;
    // RFC 6797, 7.2: never over plain HTTP.
    if (hsts !== undefined && request.scheme === 'https' && !head.hasHsts) {
      extra += `Strict-Transport-Security: ${hsts}\r\n`;
    }
    this.#request = request;
    this.#head = head;
    this.#out.text(
      responseText(head, {
        extra,
        editSetCookie: affinity?.editsSetCookies === true ? this.#editSetCookie : undefined,
        connection: stays ? (request.minor === 0 ? 'keep-alive' : '') : 'close',
        framing,
        serverHeader: this.#ctx.settings.serverHeader,
        cacheControl,
        named: responseHeaderEdits(this.#plan, this.#ctx, request, head),
      }),
    );
    if (decision.edited) this.issued = true;
    return stays;
  }

  body(buffer: Buffer, start: number, end: number): void {
    if (this.#chunked) this.#out.text(chunkHeader(end - start));
    this.#out.range(buffer, start, end);
    if (this.#chunked) this.#out.text(CHUNK_END);
  }

  end(): void {
    if (this.#chunked) this.#out.text(lastChunk(this.trailers));
  }
}
