/** What a command may touch of the process; main.ts gives the real things. */

export type StopSignal = 'SIGINT' | 'SIGTERM';

/** Of a command that a signal has cut short: 128 and the signal's number, as shells have it. */
export const CUT_SHORT: Readonly<Record<StopSignal, number>> = { SIGINT: 130, SIGTERM: 143 };

export interface CliIo {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Text for the user, on stdout; newlines are the caller's. */
  readonly out: (text: string) => void;
  /** Complaints, on stderr. */
  readonly err: (text: string) => void;
  /** Calls `handler` for each signal that asks to stop, until the returned function is called. */
  readonly onStop: (handler: (signal: StopSignal) => void) => () => void;
}

export interface Command {
  readonly name: string;
  /** What stands behind the name in the usage line. */
  readonly usage: string;
  readonly summary: string;
  /** Whether the settings of `--help` apply. */
  readonly takesSettings: boolean;
  /** `args` are those behind the command's name; gives the exit code. */
  readonly run: (args: readonly string[], io: CliIo) => Promise<number>;
}
