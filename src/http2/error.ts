/** What can be wrong with what a peer sends: fixed objects, so that refusing allocates nothing. */

/** Error codes (RFC 9113, 7). */
export const CODE = {
  NO_ERROR: 0,
  PROTOCOL_ERROR: 1,
  INTERNAL_ERROR: 2,
  FLOW_CONTROL_ERROR: 3,
  SETTINGS_TIMEOUT: 4,
  STREAM_CLOSED: 5,
  FRAME_SIZE_ERROR: 6,
  REFUSED_STREAM: 7,
  CANCEL: 8,
  COMPRESSION_ERROR: 9,
  CONNECT_ERROR: 10,
  ENHANCE_YOUR_CALM: 11,
  INADEQUATE_SECURITY: 12,
  HTTP_1_1_REQUIRED: 13,
} as const;

export type CodeName = keyof typeof CODE;

export interface Http2Error {
  /** RFC 9113, 7. */
  readonly code: CodeName;
  /** `stream`: answered by RST_STREAM, the connection goes on; `connection`: by GOAWAY. */
  readonly level: 'stream' | 'connection';
  /** Short machine code for metrics and logs. */
  readonly name: string;
  /** One human sentence without a full stop. */
  readonly reason: string;
}

function connection(code: CodeName, name: string, reason: string): Http2Error {
  return Object.freeze({ code, level: 'connection', name, reason });
}

function stream(code: CodeName, name: string, reason: string): Http2Error {
  return Object.freeze({ code, level: 'stream', name, reason });
}

/** Sections are those of RFC 9113 unless another one is named. */
export const ERRORS = {
  // Frames: 4 and 6.
  badPreface: connection('PROTOCOL_ERROR', 'bad_preface', 'the connection does not begin with the preface'),
  settingsFirst: connection('PROTOCOL_ERROR', 'settings_first', 'the first frame is not SETTINGS'),
  frameTooLarge: connection('FRAME_SIZE_ERROR', 'frame_too_large', 'a frame is larger than SETTINGS_MAX_FRAME_SIZE'),
  badFrameSize: connection('FRAME_SIZE_ERROR', 'bad_frame_size', 'a frame does not have the size of its type'),
  badPrioritySize: stream('FRAME_SIZE_ERROR', 'bad_priority_size', 'PRIORITY does not have 5 bytes'),
  badPadding: connection('PROTOCOL_ERROR', 'bad_padding', 'the padding is as long as the payload or longer'),
  needsStream: connection('PROTOCOL_ERROR', 'needs_stream', 'a frame that belongs to a stream has stream identifier 0'),
  needsConnection: connection('PROTOCOL_ERROR', 'needs_connection', 'a frame of the connection names a stream'),
  expectsContinuation: connection('PROTOCOL_ERROR', 'expects_continuation', 'a field block is not continued'),
  strayContinuation: connection('PROTOCOL_ERROR', 'stray_continuation', 'CONTINUATION continues no field block'),
  pushFromClient: connection('PROTOCOL_ERROR', 'push_from_client', 'a client cannot push'),
  pushDisabled: connection('PROTOCOL_ERROR', 'push_disabled', 'a server pushes although push is disabled'),
  badSetting: connection('PROTOCOL_ERROR', 'bad_setting', 'a setting has a value that it cannot have'),
  badInitialWindow: connection(
    'FLOW_CONTROL_ERROR',
    'bad_initial_window',
    'SETTINGS_INITIAL_WINDOW_SIZE is above 2^31-1',
  ),
  strayAck: connection('PROTOCOL_ERROR', 'stray_ack', 'SETTINGS are acknowledged that were not sent'),
  selfDependency: connection('PROTOCOL_ERROR', 'self_dependency', 'a stream depends on itself (RFC 7540, 5.3.1)'),
  // HPACK: RFC 7541.
  badBlock: connection('COMPRESSION_ERROR', 'bad_block', 'a field block cannot be decoded'),
  // Streams: 5.1.
  idleStream: connection('PROTOCOL_ERROR', 'idle_stream', 'a frame names a stream that nobody has opened'),
  badStreamId: connection(
    'PROTOCOL_ERROR',
    'bad_stream_id',
    'a new stream does not have a higher identifier of its side',
  ),
  closedStream: connection('STREAM_CLOSED', 'closed_stream', 'a frame names a stream that is closed'),
  resetStream: stream('STREAM_CLOSED', 'reset_stream', 'a frame names a stream that its sender has reset'),
  halfClosed: stream('STREAM_CLOSED', 'half_closed', 'a stream goes on behind its END_STREAM'),
  tooManyStreams: stream('REFUSED_STREAM', 'too_many_streams', 'there are too many streams at once'),
  // Flow control: 5.2 and 6.9.
  zeroIncrement: connection('PROTOCOL_ERROR', 'zero_increment', 'a window of the connection is updated by 0'),
  zeroStreamIncrement: stream('PROTOCOL_ERROR', 'zero_stream_increment', 'a window of a stream is updated by 0'),
  windowOverflow: connection('FLOW_CONTROL_ERROR', 'window_overflow', 'the window of the connection exceeds 2^31-1'),
  streamWindowOverflow: stream('FLOW_CONTROL_ERROR', 'stream_window_overflow', 'the window of a stream exceeds 2^31-1'),
  windowExceeded: connection(
    'FLOW_CONTROL_ERROR',
    'window_exceeded',
    'there is more DATA than the connection may have',
  ),
  streamWindowExceeded: stream(
    'FLOW_CONTROL_ERROR',
    'stream_window_exceeded',
    'there is more DATA than a stream may have',
  ),
  // Messages: 8.
  badFieldName: stream('PROTOCOL_ERROR', 'bad_field_name', 'a field name has upper case or forbidden characters'),
  badFieldValue: stream(
    'PROTOCOL_ERROR',
    'bad_field_value',
    'a field value has forbidden characters or outer white space',
  ),
  connectionField: stream('PROTOCOL_ERROR', 'connection_field', 'a field belongs to a connection of HTTP/1'),
  badTe: stream('PROTOCOL_ERROR', 'bad_te', 'TE says something else than trailers'),
  badPseudo: stream('PROTOCOL_ERROR', 'bad_pseudo', 'a pseudo-header field does not exist, is repeated, or comes late'),
  missingPseudo: stream('PROTOCOL_ERROR', 'missing_pseudo', 'a pseudo-header field is missing'),
  badMethod: stream('PROTOCOL_ERROR', 'bad_method', ':method is no token'),
  badPath: stream('PROTOCOL_ERROR', 'bad_path', ':path is no path of the scheme'),
  badScheme: stream('PROTOCOL_ERROR', 'bad_scheme', ':scheme is neither http nor https'),
  badAuthority: stream('PROTOCOL_ERROR', 'bad_authority', ':authority or Host is not an authority'),
  hostMismatch: stream('PROTOCOL_ERROR', 'host_mismatch', ':authority differs from Host'),
  badConnect: stream('PROTOCOL_ERROR', 'bad_connect', 'CONNECT has other pseudo-header fields than it must have'),
  badStatus: stream('PROTOCOL_ERROR', 'bad_status', ':status is no status code'),
  badContentLength: stream('PROTOCOL_ERROR', 'bad_content_length', 'Content-Length is not one decimal number'),
  lengthMismatch: stream('PROTOCOL_ERROR', 'length_mismatch', 'DATA is not as long as Content-Length says'),
  badTrailers: stream('PROTOCOL_ERROR', 'bad_trailers', 'a second field section does not end the stream'),
  dataBeforeHead: stream('PROTOCOL_ERROR', 'data_before_head', 'DATA comes before the final response'),
  listTooLarge: stream('PROTOCOL_ERROR', 'list_too_large', 'the field section is larger than we take'),
  // Abuse: 10.5.
  blockTooLarge: connection('ENHANCE_YOUR_CALM', 'block_too_large', 'a field block has too many bytes'),
  tooManyContinuations: connection('ENHANCE_YOUR_CALM', 'continuation_flood', 'a field block has too many frames'),
  resetFlood: connection('ENHANCE_YOUR_CALM', 'reset_flood', 'streams are reset too often'),
  pingFlood: connection('ENHANCE_YOUR_CALM', 'ping_flood', 'there are too many PINGs'),
  settingsFlood: connection('ENHANCE_YOUR_CALM', 'settings_flood', 'there are too many SETTINGS'),
  emptyDataFlood: connection('ENHANCE_YOUR_CALM', 'empty_data_flood', 'there is too much DATA without data'),
  windowUpdateFlood: connection('ENHANCE_YOUR_CALM', 'window_update_flood', 'there are too many WINDOW_UPDATEs'),
  idleFrameFlood: connection('ENHANCE_YOUR_CALM', 'idle_frame_flood', 'there are too many frames without meaning'),
} as const satisfies Record<string, Http2Error>;
