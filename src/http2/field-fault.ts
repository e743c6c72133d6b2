/** What a field is malformed by in any message, whatever its value says (RFC 9113, 8.2.1 and 8.2.2). */
import { ERRORS } from './error.ts';
import type { Http2Error } from './error.ts';
import * as kinds from './hpack/kinds.ts';

/** `kind`: one of `kinds`; undefined = it may be well-formed. */
export function fieldFault(kind: number): Http2Error | undefined {
  if (kind === kinds.BAD_NAME) return ERRORS.badFieldName;
  if (kind === kinds.BAD_VALUE) return ERRORS.badFieldValue;
  return kind === kinds.CONNECTION_FIELD ? ERRORS.connectionField : undefined;
}
