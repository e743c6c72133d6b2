/** Passes a backend's response on to the client: the head with our edits, then the body. */
import { editSetCookie } from '../affinity/backend-cookies.ts';
import { issueToken } from '../affinity/issue.ts';
import type { RequestHead } from '../http1/request-head.ts';
import type { ResponseHead } from '../http1/response-head.ts';
import { responseText } from '../http1/serialize.ts';
import type { ClientOut } from './client-out.ts';
import type { LaneContext } from './context.ts';
import { responseHeaderEdits } from './header-edits.ts';
import type { Plan } from './plan.ts';

export class ResponseWriter {
  /** For the end of the body: lines ending in CR LF. */
  trailers = '';
  /** The last head carried a token. */
  issued = false;
  readonly #ctx: LaneContext;
  readonly #plan: Plan;
  readonly #client: { readonly out: ClientOut };
  readonly #editSetCookie: (line: string) => string;
  #request: RequestHead | undefined;
  #head: ResponseHead | undefined;

  constructor(ctx: LaneContext, plan: Plan, client: { readonly out: ClientOut }) {
    this.#ctx = ctx;
    this.#plan = plan;
    this.#client = client;
    this.#editSetCookie = (line) => {
      const { affinity, decision, pool } = this.#plan;
      if (affinity === undefined || pool === undefined) return line;
      if (this.#request === undefined || this.#head === undefined) return line;
      return editSetCookie(decision, affinity, pool, this.#request, this.#head, this.#ctx.env, line);
    };
  }

  /** Returns whether the connection can stay open after this response. */
  head(head: ResponseHead, request: RequestHead, keepAlive: boolean): boolean {
    const { affinity, decision, pool } = this.#plan;
    const framing = this.#client.out.framing(head, request.minor);
    const stays = keepAlive && framing !== 'close';
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
    const text = responseText(head, {
      extra,
      editSetCookie: affinity?.editsSetCookies === true ? this.#editSetCookie : undefined,
      connection: stays ? (request.minor === 0 ? 'keep-alive' : '') : 'close',
      framing,
      serverHeader: this.#ctx.settings.serverHeader,
      cacheControl,
      named: responseHeaderEdits(this.#plan, this.#ctx, request, head),
    });
    this.#client.out.head(text, framing, head.last);
    if (decision.edited) this.issued = true;
    return stays;
  }

  body(buffer: Buffer, start: number, end: number): void {
    this.#client.out.body(buffer, start, end);
  }

  end(): void {
    this.#client.out.end(this.trailers);
  }
}
