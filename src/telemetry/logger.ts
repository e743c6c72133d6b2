/** The logger: pino JSON lines, or one readable line an event on a terminal. Other folders use the `Logger` type and never import pino. */
import { pino } from 'pino';

/** What a log line carries besides its message. Never put secrets, tokens or cookie values here. */
export type LogFields = Readonly<Record<string, unknown>>;

export interface LogMethod {
  (message: string): void;
  /** An error under `err` is written with its type, message and stack. */
  (fields: LogFields, message: string): void;
}

export interface Logger {
  readonly trace: LogMethod;
  readonly debug: LogMethod;
  readonly info: LogMethod;
  readonly warn: LogMethod;
  readonly error: LogMethod;
  readonly fatal: LogMethod;
  child(fields: LogFields): Omit<Logger, 'dropped'>;
  /** Lines thrown away because nobody took them; a log that is not read must not stop the process. */
  dropped(): number;
}

export interface LoggerOptions {
  /** `trace`, `debug`, `info`, `warn`, `error`, `fatal` or `silent`. */
  readonly level: string;
  /** File descriptor written to: 1 (stdout) or 2 (stderr). Ignored when `write` is given. */
  readonly fd?: 1 | 2;
  /** Readable lines instead of JSON; default: whether the descriptor is a terminal. */
  readonly pretty?: boolean;
  /** Receives each finished line, newline included. */
  readonly write?: (line: string) => void;
}

/** Bytes that may wait for a slow reader. */
const WAITING_LIMIT = 4 * 1024 * 1024;

export function createLogger(options: LoggerOptions): Logger {
  const format = {
    level: options.level,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (level: string) => ({ level }) },
  };
  if (options.write !== undefined) {
    const { write } = options;
    const shown = options.pretty === true ? (line: string) => write(prettyLine(line, false)) : write;
    return Object.assign(pino(format, { write: shown }), { dropped: () => 0 });
  }
  const stream = options.fd === 2 ? process.stderr : process.stdout;
  const colours = process.env['NO_COLOR'] === undefined;
  const pretty = options.pretty ?? stream.isTTY;
  let dropped = 0;
  // A reader that is gone takes no more lines; that is no reason to stop serving.
  stream.on('error', () => dropped++);
  // The stream writes at once while its reader keeps up and queues in the background when not: a log that nobody reads
  // costs lines, not the control plane.
  const write = (line: string) => {
    if (stream.writableLength > WAITING_LIMIT || stream.destroyed) dropped++;
    else stream.write(pretty ? prettyLine(line, colours) : line);
  };
  return Object.assign(pino(format, { write }), { dropped: () => dropped });
}

const COLOURS: Readonly<Record<string, number>> = { trace: 90, debug: 90, info: 32, warn: 33, error: 31, fatal: 35 };

/** `12:34:56.789 WARN  message  key=value`; a line that is not one of ours comes back as it is. */
export function prettyLine(line: string, colours: boolean): string {
  let entry: unknown;
  try {
    entry = JSON.parse(line);
  } catch {
    return line;
  }
  if (typeof entry !== 'object' || entry === null) return line;
  const { level, time, msg, err, ...fields } = entry as Record<string, unknown>;
  const name = typeof level === 'string' ? level : 'info';
  const clock = typeof time === 'string' ? time.slice(11, 23) : '';
  const label = name.toUpperCase().padEnd(5);
  const shown = colours ? `\x1b[${COLOURS[name] ?? 37}m${label}\x1b[0m` : label;
  const rest = Object.entries(fields).map(([key, value]) => ` ${key}=${fieldText(value)}`);
  return `${clock} ${shown} ${typeof msg === 'string' ? oneLine(msg) : ''}${rest.length > 0 ? ' ' : ''}${rest.join('')}\n${errorText(err)}`;
}

/** Text from outside must not forge a line or steer a terminal. */
function oneLine(text: string): string {
  return text.replace(/[\x00-\x1f\x7f-\x9f]/g, (character) =>
    JSON.stringify(character)
      .slice(1, -1)
      .replace(/[\x7f-\x9f]/, '?'),
  );
}

function fieldText(value: unknown): string {
  if (typeof value === 'string') return /^[\w./:@-]+$/.test(value) ? value : JSON.stringify(value);
  return JSON.stringify(value) ?? 'undefined';
}

function errorText(err: unknown): string {
  if (typeof err !== 'object' || err === null) return '';
  const { stack, message } = err as { stack?: unknown; message?: unknown };
  const text = typeof stack === 'string' ? stack : typeof message === 'string' ? message : JSON.stringify(err);
  return text.replace(/^/gm, '    ') + '\n';
}
