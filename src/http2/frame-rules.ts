/** What the header of a frame alone tells: whether it may have its stream and its size (RFC 9113, 4.2 and 6). */
import {
  ACK,
  CONTINUATION,
  DATA,
  GOAWAY,
  HEADERS,
  MAX_FRAME,
  PADDED,
  PING,
  PRIORITY_FLAG,
  PUSH_PROMISE,
  RST_STREAM,
  SETTINGS,
  WINDOW_UPDATE,
} from './constants.ts';
import { ERRORS } from './error.ts';
import type { Http2Error } from './error.ts';

/** A PRIORITY of the wrong size is an error of its stream, so that one is looked at later. */
export function frameFault(
  type: number,
  flags: number,
  id: number,
  length: number,
  fromClient: boolean,
): Http2Error | undefined {
  if (length > MAX_FRAME) return ERRORS.frameTooLarge;
  switch (type) {
    case SETTINGS:
    case PING:
    case GOAWAY:
      if (id !== 0) return ERRORS.needsConnection;
      break;
    case WINDOW_UPDATE:
      break;
    case PUSH_PROMISE:
      return fromClient ? ERRORS.pushFromClient : ERRORS.pushDisabled;
    default:
      if (id === 0 && type <= CONTINUATION) return ERRORS.needsStream;
  }
  return hasRightSize(type, flags, length) ? undefined : ERRORS.badFrameSize;
}

function hasRightSize(type: number, flags: number, length: number): boolean {
  switch (type) {
    case DATA:
      return length > 0 || (flags & PADDED) === 0;
    case HEADERS:
      return length >= ((flags & PADDED) === 0 ? 0 : 1) + ((flags & PRIORITY_FLAG) === 0 ? 0 : 5);
    case RST_STREAM:
    case WINDOW_UPDATE:
      return length === 4;
    case SETTINGS:
      return (flags & ACK) === 0 ? length % 6 === 0 : length === 0;
    case PING:
      return length === 8;
    case GOAWAY:
      return length >= 8;
    default:
      return true;
  }
}
