/** `holdfast sessions`: lists the sessions that the replicas know, and moves or ends one. */
import { readFile } from 'node:fs/promises';
import type { Config } from '../config/config.ts';
import { SERVICE_ACCOUNT_TOKEN } from '../control/place.ts';
import { adminHost } from './admin-host.ts';
import type { Command } from './io.ts';
import { readSettings } from './settings.ts';
import { takeValue } from './take.ts';

const USAGE = `write holdfast sessions list [--policy NS/NAME] [--pod NS/POD] [--limit N],
holdfast sessions show SESSION, holdfast sessions move SESSION --to POD, or holdfast sessions end SESSION;
SESSION is an id of the list, or the value of a session's cookie`;
const ANSWER_MS = 15_000;
const FILTERS = ['--policy', '--pod', '--limit'] as const;

/** As `/api/v1/sessions` writes it. */
interface Session {
  readonly id: string;
  readonly kind: string;
  readonly namespace: string;
  readonly policy: string;
  readonly service: string;
  readonly pod: string;
  readonly active: boolean;
  readonly firstSeen: string;
  readonly lastSeen: string;
}

interface Told {
  readonly asked: number;
  readonly answered: number;
}

interface Wanted {
  readonly path: string;
  /** undefined = it is a GET. */
  readonly body?: object;
  /** What the answer says, for people. */
  readonly text: (answer: unknown) => string;
}

export const sessions: Command = {
  name: 'sessions',
  usage: 'list|show|move|end [SESSION] [FLAGS]',
  summary:
    'sessions: list them (--policy NS/NAME, --pod NS/POD, --limit N), show one, move it --to a pod, or end it; of all replicas',
  takesSettings: true,
  run: async (args, io) => {
    let rest = args;
    const filters = new Map<string, string>();
    for (const flag of [...FILTERS, '--to']) {
      const taken = takeValue(rest, flag);
      rest = taken.rest;
      if (taken.value !== undefined) filters.set(flag.slice(2), taken.value);
    }
    const settings = readSettings(rest, io, { takesFiles: true });
    if (settings === undefined) return 2;
    const wanted = wantedBy(settings.positionals, filters);
    if (wanted === undefined) {
      io.err(`holdfast: ${USAGE}\n`);
      return 2;
    }
    try {
      io.out(wanted.text(await ask(settings.config, wanted)));
      return 0;
    } catch (error) {
      io.err(`holdfast: ${error instanceof Error ? error.message : String(error)}\n`);
      return 1;
    }
  },
};

/** undefined = the command line says something else. */
function wantedBy(positionals: readonly string[], flags: ReadonlyMap<string, string>): Wanted | undefined {
  const [action, session, stray] = positionals;
  if (stray !== undefined) return undefined;
  if (action === 'list') {
    if (session !== undefined || flags.has('to')) return undefined;
    const query = new URLSearchParams([...flags]).toString();
    return { path: query === '' ? '' : `?${query}`, text: listText };
  }
  const to = flags.get('to');
  const known = action === 'show' || action === 'move' || action === 'end';
  if (!known || session === undefined || (action === 'move') !== (to !== undefined)) return undefined;
  if (flags.size > (to === undefined ? 0 : 1)) return undefined;
  const body = to === undefined ? { session } : { session, to };
  const text = (answer: unknown): string =>
    action === 'show' ? table([answer as Session]) : changeText(answer as { id: string; to?: string; told: Told });
  return { path: `/${action}`, body, text };
}

async function ask(config: Config, { path, body }: Wanted): Promise<unknown> {
  const host = adminHost(config.adminAddress);
  const token = await tokenOf(config);
  const response = await fetch(`http://${host}/api/v1/sessions${path}`, {
    ...(body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) }),
    headers: {
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    },
    signal: AbortSignal.timeout(ANSWER_MS),
  }).catch((error: unknown) => {
    throw new Error(`no controller answers at ${host}; name one by --admin-address, such as a port that is forwarded`, {
      cause: error,
    });
  });
  const answer: unknown = await response.json().catch(() => undefined);
  if (response.ok && answer !== undefined) return answer;
  const { error } = (answer ?? {}) as { error?: unknown };
  throw new Error(typeof error === 'string' ? error : `the controller at ${host} answered ${response.status}`);
}

/** The file that was named, else in a pod that of its account; undefined = none. */
async function tokenOf({ adminTokenFile }: Config): Promise<string | undefined> {
  if (adminTokenFile === undefined)
    return await readFile(SERVICE_ACCOUNT_TOKEN, 'utf8').then(
      (text) => text.trim(),
      () => undefined,
    );
  try {
    return (await readFile(adminTokenFile, 'utf8')).trim();
  } catch (error) {
    throw new Error(`--admin-token-file: cannot read ${adminTokenFile}`, { cause: error });
  }
}

function listText(answer: unknown): string {
  const { sessions: found, more, replicas } = answer as { sessions: Session[]; more: boolean; replicas?: Told };
  const rest = more ? 'there are more; --limit N shows up to 1000, --policy and --pod narrow it down\n' : '';
  return `${table(found)}${rest}${silent(replicas)}`;
}

function changeText({ id, to, told }: { readonly id: string; readonly to?: string; readonly told: Told }): string {
  const done = to === undefined ? 'has ended' : `moves to ${to}`;
  return `session ${id} ${done}\n${silent(told)}`;
}

function silent(told: Told | undefined): string {
  const missing = told === undefined ? 0 : told.asked - told.answered;
  return missing === 0
    ? ''
    : `${missing} of ${told?.asked ?? 0} replicas do not answer; they hear of changes within seconds of their return\n`;
}

function table(found: readonly Session[]): string {
  const rows = found.map(({ id, kind, namespace, policy, service, pod, active, firstSeen, lastSeen }) => [
    id,
    kind,
    `${namespace}/${policy}`,
    service,
    pod === '' ? '(gone)' : pod,
    active ? 'yes' : 'no',
    firstSeen,
    lastSeen,
  ]);
  const head = ['ID', 'KIND', 'POLICY', 'SERVICE', 'POD', 'ACTIVE', 'FIRST SEEN', 'LAST SEEN'];
  const all = [head, ...rows];
  const widths = head.map((_, column) => Math.max(...all.map((row) => row[column]?.length ?? 0)));
  return all
    .map(
      (row) =>
        `${row
          .map((cell, i) => cell.padEnd(widths[i] ?? 0))
          .join('  ')
          .trimEnd()}\n`,
    )
    .join('');
}
