/** Takes a command's own flags out of its arguments; what is left are settings. */

export interface Taken {
  /** undefined = it was not given; empty = without a value. */
  readonly value: string | undefined;
  readonly rest: readonly string[];
}

/** `--name VALUE` or `--name=VALUE`; the last of several counts. */
export function takeValue(args: readonly string[], flag: string): Taken {
  const rest: string[] = [];
  let value: string | undefined;
  for (let i = 0; i < args.length; i++) {
    const arg = args[i] ?? '';
    if (arg === flag) value = args[++i] ?? '';
    else if (arg.startsWith(`${flag}=`)) value = arg.slice(flag.length + 1);
    else rest.push(arg);
  }
  return { value, rest };
}

/** `--name`, a switch. */
export function takeSwitch(
  args: readonly string[],
  flag: string,
): { readonly on: boolean; readonly rest: readonly string[] } {
  return { on: args.includes(flag), rest: args.filter((arg) => arg !== flag) };
}
