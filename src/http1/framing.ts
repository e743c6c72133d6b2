/** The two fields that frame a body: Content-Length and Transfer-Encoding (RFC 9112, 6). */
import { ERRORS } from './error.ts';
import type { Http1Error } from './error.ts';
import { listItems } from './fields.ts';

/** 15 digits are below 2^53 and above any body. */
const MAX_DIGITS = 15;

/** Bytes, or -1 when the value is not one decimal number. By hand: a regular expression and `Number` take five times as long. */
export function readLength(value: string): number {
  if (value.length === 0 || value.length > MAX_DIGITS) return -1;
  let length = 0;
  for (let i = 0; i < value.length; i++) {
    const digit = value.charCodeAt(i) - 48;
    if (digit < 0 || digit > 9) return -1;
    length = length * 10 + digit;
  }
  return length;
}

/** The fault of a Transfer-Encoding (all its lines joined by `, `) other than plain `chunked`. */
export function codingFault(value: string): Http1Error | undefined {
  if (value.length === 7 && value.toLowerCase() === 'chunked') return undefined;
  const codings = listItems(value);
  const first = codings.indexOf('chunked');
  if (codings.length === 0 || codings.some((coding) => !/^[!#$%&'*+\-.^_`|~0-9a-z]+$/.test(coding))) {
    return ERRORS.badTransferEncoding;
  }
  if (first >= 0 && first < codings.length - 1) return ERRORS.badTransferEncoding;
  return codings.length === 1 && first === 0 ? ERRORS.badTransferEncoding : ERRORS.unknownCoding;
}
