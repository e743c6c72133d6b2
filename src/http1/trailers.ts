/** Which trailer fields may be forwarded (RFC 9110, 6.5.1). */

/** Framing, routing, authentication, cookies and request modifiers: as a trailer they could only mislead. */
const NEVER = new Set([
  'transfer-encoding',
  'content-length',
  'content-encoding',
  'content-type',
  'content-range',
  'host',
  'connection',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'upgrade',
  'http2-settings',
  'expect',
  'max-forwards',
  'range',
  'cache-control',
  'location',
  'authorization',
  'proxy-authorization',
  'proxy-authenticate',
  'proxy-authentication-info',
  'www-authenticate',
  'authentication-info',
  'cookie',
  'set-cookie',
  'forwarded',
  'via',
  'x-real-ip',
  'x-request-id',
]);

/** The lines of a valid trailer section that are forwarded; undefined = more than `max` lines. */
export function filterTrailers(text: string, max: number): string | undefined {
  if (text.length === 2) return '';
  const last = text.length - 2;
  let kept = '';
  let lines = 0;
  for (let at = 0; at < last;) {
    if (++lines > max) return undefined;
    const colon = text.indexOf(':', at);
    const end = text.indexOf('\r', colon) + 2;
    const name = text.slice(at, colon).toLowerCase().replaceAll('_', '-');
    if (!NEVER.has(name) && !/^(?:x-forwarded|ssl-client)-/.test(name)) kept += text.slice(at, end);
    at = end;
  }
  return kept;
}
