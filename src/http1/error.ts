/** Why a message was refused: fixed objects, so that refusing allocates nothing. */

export interface Http1Error {
  /** What the client gets: 4xx/5xx for a request, always 502 for a response of a backend. */
  readonly status: number;
  /** Short machine code for metrics and logs. */
  readonly code: string;
  /** One human sentence without a full stop. */
  readonly reason: string;
}

function error(status: number, code: string, reason: string): Http1Error {
  return Object.freeze({ status, code, reason });
}

/** Refusals by RFC 9112 unless another one is named. */
export const ERRORS = {
  bareLf: error(400, 'bare_lf', 'a line ends in LF without CR'),
  badRequestLine: error(400, 'bad_request_line', 'the request line is malformed'),
  badTarget: error(400, 'bad_target', 'the request target is malformed'),
  badVersion: error(505, 'bad_version', 'only HTTP/1.0 and HTTP/1.1 are spoken here'),
  badStatusLine: error(502, 'bad_status_line', 'the status line is malformed'),
  targetTooLong: error(414, 'target_too_long', 'the request target is too long'),
  headTooLarge: error(431, 'head_too_large', 'the header section is too large'),
  tooManyFields: error(431, 'too_many_fields', 'there are too many header fields'),
  obsFold: error(400, 'obs_fold', 'a header line starts with white space'),
  spaceBeforeColon: error(400, 'space_before_colon', 'there is white space before the colon of a header field'),
  badFieldName: error(400, 'bad_field_name', 'a header field name is malformed'),
  badFieldValue: error(400, 'bad_field_value', 'a header field value contains a forbidden character'),
  badContentLength: error(400, 'bad_content_length', 'Content-Length is not one decimal number'),
  manyContentLengths: error(400, 'many_content_lengths', 'there is more than one Content-Length'),
  lengthAndEncoding: error(400, 'length_and_encoding', 'Content-Length and Transfer-Encoding exclude each other'),
  badTransferEncoding: error(400, 'bad_transfer_encoding', 'Transfer-Encoding is not a final, single chunked'),
  unknownCoding: error(501, 'unknown_coding', 'no transfer coding but chunked is implemented'),
  encodingInHttp10: error(400, 'encoding_in_http10', 'HTTP/1.0 knows no Transfer-Encoding'),
  missingHost: error(400, 'missing_host', 'an HTTP/1.1 request needs a Host field'),
  manyHosts: error(400, 'many_hosts', 'there is more than one Host field'),
  badHost: error(400, 'bad_host', 'the Host field is not a valid authority'),
  hostMismatch: error(400, 'host_mismatch', 'the authority of the request target differs from Host'),
  badConnection: error(400, 'bad_connection', 'Connection names a field that is not hop-by-hop'),
  badExpectation: error(417, 'bad_expectation', 'the only known expectation is 100-continue'),
  connectMethod: error(405, 'connect_method', 'CONNECT is not allowed'),
  badChunkSize: error(400, 'bad_chunk_size', 'a chunk size is malformed'),
  badChunkExtension: error(400, 'bad_chunk_extension', 'a chunk extension is malformed or too long'),
  badChunkEnd: error(400, 'bad_chunk_end', 'a chunk does not end with CR LF'),
  badTrailer: error(400, 'bad_trailer', 'the trailer section is malformed'),
  trailersTooLarge: error(431, 'trailers_too_large', 'the trailer section is too large'),
  closedEarly: error(502, 'closed_early', 'the backend closed the connection before its response was complete'),
} as const satisfies Record<string, Http1Error>;

const backendErrors = new Map<Http1Error, Http1Error>();

/** The same fault found in a backend's response: 502 whatever it would be for a request. */
export function asBackendError(fault: Http1Error): Http1Error {
  if (fault.status === 502) return fault;
  let known = backendErrors.get(fault);
  if (known === undefined) {
    known = error(502, fault.code, fault.reason);
    backendErrors.set(fault, known);
  }
  return known;
}
