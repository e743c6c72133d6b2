/** The two fields that frame a body: Content-Length and Transfer-Encoding (RFC 9112, 6). */
import { ERRORS } from './error.ts';
import type { Http1Error } from './error.ts';
import { listItems } from './fields.ts';

/** 15 digits are below 2^53 and above any body. */
const LENGTH = /^[0-9]{1,15}$/;

/** Bytes, or -1 when the value is not one decimal number. */
export function readLength(value: string): number {
  return LENGTH.test(value) ? Number(value) : -1;
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
