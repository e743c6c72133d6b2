/** What gRPC asks of a proxy (PROTOCOL-HTTP2.md of the gRPC project): refusals as a gRPC status, and the call's own deadline. */
import type { RequestHead } from '../http1/request-head.ts';

/** Not `application/grpc-web`, whose status is in its body. */
const CONTENT_TYPE = /^application\/grpc(?:$|[+; ])/i;
const TIMEOUT = /^([0-9]{1,8})([HMSmun])$/;
const UNIT_MS: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1000, m: 1, u: 1e-3, n: 1e-6 };
const DEADLINE_EXCEEDED = 4;
const UNKNOWN = 2;
/** As clients read an HTTP status without a gRPC one (http-grpc-status-mapping.md), so that both say the same. */
const STATUS: Readonly<Record<number, number>> = {
  400: 13,
  401: 16,
  403: 7,
  404: 12,
  429: 14,
  502: 14,
  503: 14,
  504: 14,
};

export function isGrpc(head: RequestHead): boolean {
  const type = head.header('content-type');
  return type !== undefined && CONTENT_TYPE.test(type);
}

/** How long the client waits for its call, ms; undefined = it does not say. */
export function grpcTimeout(head: RequestHead): number | undefined {
  const [, amount, unit] = TIMEOUT.exec(head.header('grpc-timeout') ?? '') ?? [];
  return amount === undefined || unit === undefined ? undefined : Number(amount) * (UNIT_MS[unit] ?? 0);
}

/** `Trailers-Only` header lines, each ending in CR LF: the answer is over with its head. `code`: of the refusal. */
export function grpcLines(status: number, code: string, message: string): string {
  const grpcStatus = code === 'response_timeout' ? DEADLINE_EXCEEDED : (STATUS[status] ?? UNKNOWN);
  return `Content-Type: application/grpc\r\nGrpc-Status: ${grpcStatus}\r\nGrpc-Message: ${percentEncoded(message)}\r\n`;
}

/** Space to `~` stay, but for `%`. */
function percentEncoded(text: string): string {
  return Array.from(Buffer.from(text), (byte) =>
    byte >= 0x20 && byte <= 0x7e && byte !== 0x25
      ? String.fromCharCode(byte)
      : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`,
  ).join('');
}
