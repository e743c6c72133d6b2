/** The peer's SETTINGS (RFC 9113, 6.5.2). */
import { DEFAULT_WINDOW, MAX_31, MAX_FRAME, SETTING } from './constants.ts';
import { ERRORS } from './error.ts';
import type { Http2Error } from './error.ts';
import { TABLE_SIZE } from './hpack/decoder.ts';

/** There are seven settings; each entry may have to be applied to every stream. */
const MAX_ENTRIES = 64;
const MAX_MAX_FRAME = 16_777_215;

export class PeerSettings {
  /** They have come. */
  known = false;
  headerTableSize = TABLE_SIZE;
  initialWindow = DEFAULT_WINDOW;
  /** Streams that we may have open at once. */
  maxStreams = MAX_31;
  /** The server takes extended CONNECT (RFC 8441). */
  connectProtocol = false;

  /** Reads entries of 6 bytes, in order; settings that we do not need are checked only. */
  read(buffer: Buffer, start: number, end: number, from: 'client' | 'server'): Http2Error | undefined {
    if (end - start > MAX_ENTRIES * 6) return ERRORS.settingsFlood;
    this.known = true;
    for (let at = start; at < end; at += 6) {
      const fault = this.#set(buffer.readUInt16BE(at), buffer.readUInt32BE(at + 2), from);
      if (fault !== undefined) return fault;
    }
    return undefined;
  }

  #set(setting: number, value: number, from: 'client' | 'server'): Http2Error | undefined {
    switch (setting) {
      case SETTING.headerTableSize:
        this.headerTableSize = value;
        return undefined;
      case SETTING.enablePush:
        // A server must not say that a client may push.
        return value === 0 || (value === 1 && from === 'client') ? undefined : ERRORS.badSetting;
      case SETTING.maxConcurrentStreams:
        this.maxStreams = value;
        return undefined;
      case SETTING.initialWindowSize:
        if (value > MAX_31) return ERRORS.badInitialWindow;
        this.initialWindow = value;
        return undefined;
      case SETTING.maxFrameSize:
        return value >= MAX_FRAME && value <= MAX_MAX_FRAME ? undefined : ERRORS.badSetting;
      case SETTING.enableConnectProtocol:
        // RFC 8441, 3: once given it cannot be taken back.
        if (value > 1 || (value === 0 && this.connectProtocol)) return ERRORS.badSetting;
        this.connectProtocol = value === 1;
        return undefined;
      default:
        return undefined;
    }
  }
}
