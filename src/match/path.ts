/** Normalises request paths for matching; what is forwarded to a backend stays the client's own bytes. */

/** A path without any of these is already normal: an escape, an empty segment, a segment that starts with a dot. */
const NEEDS_WORK = /%|\/[/.]/;
const ESCAPE = /%([0-9A-Fa-f]{2})/g;
const SLASHES = /\/{2,}/g;
const OUTSIDE_URI = /[^\x21-\x7e]+/g;

/**
 * Normal form of a request path (without query): escapes of unreserved characters decoded, the others in upper case
 * (RFC 3986 section 6.2.2), runs of `/` merged, dot segments removed (section 5.2.4). `%2F` stays an escape, so it
 * never splits a segment; malformed escapes stay as they are. The result starts with `/`.
 *
 * @returns undefined when `rawPath` is no path at all (`*` of `OPTIONS *`, or one that does not start with `/`)
 */
export function normalizePath(rawPath: string): string | undefined {
  if (rawPath.charCodeAt(0) !== 0x2f) return rawPath === '' ? '/' : undefined;
  if (!NEEDS_WORK.test(rawPath)) return rawPath;
  const decoded = rawPath.includes('%') ? rawPath.replace(ESCAPE, normalizeEscape) : rawPath;
  const merged = decoded.replace(SLASHES, '/');
  return merged.includes('/.') ? removeDotSegments(merged) : merged;
}

/** Normal form of a path as written in an Ingress: like a request's, with characters that no URI holds escaped as UTF-8. */
export function normalizeRoutePath(path: string): string {
  const escaped = path.replace(OUTSIDE_URI, (text) => encodeURIComponent(text.toWellFormed()));
  return normalizePath(escaped.startsWith('/') ? escaped : `/${escaped}`) ?? '/';
}

function normalizeEscape(escape: string, hex: string): string {
  const code = Number.parseInt(hex, 16);
  return isUnreserved(code) ? String.fromCharCode(code) : escape.toUpperCase();
}

/** RFC 3986 section 2.3. */
function isUnreserved(code: number): boolean {
  return (
    (code >= 0x61 && code <= 0x7a) ||
    (code >= 0x41 && code <= 0x5a) ||
    (code >= 0x30 && code <= 0x39) ||
    code === 0x2d ||
    code === 0x2e ||
    code === 0x5f ||
    code === 0x7e
  );
}

function removeDotSegments(path: string): string {
  const segments = path.split('/');
  const kept: string[] = [];
  for (let i = 1; i < segments.length; i++) {
    const segment = segments[i] ?? '';
    if (segment === '..') kept.pop();
    else if (segment !== '.') kept.push(segment);
  }
  // A path that ends in a dot segment names a directory: `/a/b/..` is `/a/`.
  const last = segments.at(-1);
  if (last === '.' || last === '..') kept.push('');
  return `/${kept.join('/')}`;
}
