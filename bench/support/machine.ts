/** What a benchmark has to know of the machine: its cores, the programs on it, and the facts that belong to every figure. */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { cpus, release } from 'node:os';
import { delimiter, join } from 'node:path';

/** Clock ticks a second in /proc: 100 on every Linux that Node runs on (USER_HZ). */
export const TICKS_PER_SECOND = 100;

/** Programs that scenarios need, by the Debian package that has each. */
const PACKAGES = {
  caddy: 'caddy',
  h2load: 'nghttp2-client',
  haproxy: 'haproxy',
  nginx: 'nginx',
  openssl: 'openssl',
  taskset: 'util-linux',
  valgrind: 'valgrind',
  wrk: 'wrk',
} as const;

export type Program = keyof typeof PACKAGES;

const VERSION_FLAGS: Partial<Record<Program, string>> = {
  caddy: 'version',
  h2load: '--version',
  haproxy: '-v',
  nginx: '-v',
  openssl: 'version',
  wrk: '-v',
};

/** Where Debian puts servers, which the PATH of others than root lacks. */
const SYSTEM_FOLDERS = ['/usr/sbin', '/sbin'];

/** What to say when some of them are not installed; undefined = all are. */
export function missingPrograms(names: readonly Program[]): string | undefined {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), ...SYSTEM_FOLDERS];
  const missing = names.filter((name) => !folders.some((folder) => existsSync(join(folder, name))));
  if (missing.length === 0) return undefined;
  const packages = missing.map((name) => PACKAGES[name]);
  return `not installed: ${missing.join(', ')}; on Debian: apt-get install ${packages.join(' ')}`;
}

/** The cores that this process may use. */
export function allowedCores(): string[] {
  const list = /^Cpus_allowed_list:\s*(\S+)/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '0';
  return list.split(',').flatMap((range) => {
    const [from = 0, to = from] = range.split('-').map(Number);
    return Array.from({ length: to - from + 1 }, (_, i) => String(from + i));
  });
}

/** Descriptors that a process may have; Node raises its own limit to the hard one, and children inherit it. */
export function descriptorLimit(): number {
  const limit = /^Max open files\s+\d+\s+(\S+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1];
  return limit === 'unlimited' ? Infinity : Number(limit);
}

/** CPU seconds that everything on these cores used so far. */
export function busySeconds(cores: readonly string[]): number {
  const lines = readFileSync('/proc/stat', 'utf8').split('\n');
  const ticks = cores.map((core) => {
    // user, nice, system, idle, iowait, irq, softirq
    const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0] =
      lines
        .find((line) => line.startsWith(`cpu${core} `))
        ?.split(' ')
        .slice(1)
        .map(Number) ?? [];
    return user + nice + system + irq + softirq;
  });
  return ticks.reduce((sum, value) => sum + value, 0) / TICKS_PER_SECOND;
}

export type Facts = Readonly<Record<string, string | number>>;

export function machineFacts(programs: readonly Program[]): Facts {
  const versions = programs.flatMap((name) => {
    const flag = VERSION_FLAGS[name];
    return flag === undefined ? [] : [[name, versionOf(name, flag)]];
  });
  return {
    date: new Date().toISOString().slice(0, 10),
    cpu: cpus()[0]?.model ?? '',
    cores: allowedCores().length,
    kernel: release(),
    node: process.version,
    ...(Object.fromEntries(versions) as Record<string, string>),
  };
}

/** `1.22.1`, of whatever the program says, on stdout or stderr, and with whatever exit code. */
function versionOf(program: Program, flag: string): string {
  const path = `${process.env['PATH'] ?? ''}:${SYSTEM_FOLDERS.join(':')}`;
  const said = execFileSync('sh', ['-c', '"$0" "$1" 2>&1 || true', program, flag], {
    encoding: 'utf8',
    env: { ...process.env, PATH: path },
  });
  return /\d+\.\d+(\.\d+)?/.exec(said)?.[0] ?? '';
}
