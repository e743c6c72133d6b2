/** `holdfast sessions`: lists the sessions that the replicas know, and moves or ends one. */
import { readFile } from 'node:fs/promises';
import type { Config } from '../config/config.ts';
import { SERVICE_ACCOUNT_TOKEN } from '../control/place.ts';
import { adminHost } from './admin-host.ts';
import type { Command } from './io.ts';
import { readSettings } from './settings.ts';
import { takeValue } from './take.ts';

const USAGE = `write holdfast sessions list [--policy NS/NAME] [--pod NS/POD] [--limit N],
holdfast sessions show SESSION, holdfast sessions move SESSION --to POD, holdfast sessions end SESSION,
or holdfast sessions end [--policy NS/NAME] [--pod NS/POD] for all of them; SESSION is an id of the list, or the value of a session's cookie`;
const ANSWER_MS = 15_000;
const FLAGS = ['policy', 'pod', 'limit', 'to'] as const;
/** In one list. */
const MOST = '1000';

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

interface Listing {
  readonly sessions: readonly Session[];
  readonly more: boolean;
  readonly replicas?: Told;
}

interface Change {
  readonly id: string;
  readonly to?: string;
  readonly told: Told;
}

/** Asks the controller; with a body it is a POST. */
type Ask = <T>(path: string, body?: object) => Promise<T>;

/** Gives what is printed. */
type Action = (ask: Ask) => Promise<string>;

export const sessions: Command = {
  name: 'sessions',
  usage: 'list|show|move|end [SESSION] [FLAGS]',
  summary:
    'sessions: list them (--policy NS/NAME, --pod NS/POD, --limit N), show one, move it --to a pod, end it or those listed',
  takesSettings: true,
  run: async (args, io) => {
    let rest = args;
    const flags = new Map<string, string>();
    for (const flag of FLAGS) {
      const taken = takeValue(rest, `--${flag}`);
      rest = taken.rest;
      if (taken.value !== undefined) flags.set(flag, taken.value);
    }
    const settings = readSettings(rest, io, { takesFiles: true });
    if (settings === undefined) return 2;
    const action = actionOf(settings.positionals, flags);
    if (action === undefined) {
      io.err(`holdfast: ${USAGE}\n`);
      return 2;
    }
    try {
      io.out(await action(await askerOf(settings.config)));
      return 0;
    } catch (error) {
      io.err(`holdfast: ${error instanceof Error ? error.message : String(error)}\n`);
      return 1;
    }
  },
};

/** undefined = the command line says something else. */
function actionOf(positionals: readonly string[], flags: ReadonlyMap<string, string>): Action | undefined {
  const [name, session, stray] = positionals;
  const to = flags.get('to');
  if (stray !== undefined || (name === 'move') !== (to !== undefined)) return undefined;
  if (session === undefined) {
    if (name === 'list') return async (ask) => listText(await ask(`?${queryOf(flags)}`));
    const narrow = (flags.has('policy') || flags.has('pod')) && !flags.has('limit');
    return name === 'end' && narrow ? (ask) => endAll(ask, flags) : undefined;
  }
  if (flags.size > (to === undefined ? 0 : 1)) return undefined;
  if (name === 'show') return async (ask) => table([await ask('/show', { session })]);
  if (name === 'move') return async (ask) => changeText(await ask('/move', { session, to }));
  return name === 'end' ? async (ask) => changeText(await ask('/end', { session })) : undefined;
}

function queryOf(flags: Iterable<[string, string]>): string {
  return new URLSearchParams([...flags]).toString();
}

/** All that the list would show, however many; those that begin meanwhile, or go on being listed, are left. */
async function endAll(ask: Ask, flags: ReadonlyMap<string, string>): Promise<string> {
  const ended = new Set<string>();
  let told: Told | undefined;
  for (;;) {
    const { sessions: found } = await ask<Listing>(`?${queryOf([...flags, ['limit', MOST]])}`);
    const news = found.filter(({ id }) => !ended.has(id));
    if (news.length === 0) return `${ended.size} sessions have ended\n${silent(told)}`;
    for (const { id } of news) {
      ({ told } = await ask<Change>('/end', { session: id }));
      ended.add(id);
    }
  }
}

async function askerOf(config: Config): Promise<Ask> {
  const host = adminHost(config.adminAddress);
  const token = await tokenOf(config);
  const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
  return async <T>(path: string, body?: object): Promise<T> => {
    const post = {
      method: 'POST',
      body: JSON.stringify(body),
      headers: { ...headers, 'content-type': 'application/json' },
    };
    const response = await fetch(`http://${host}/api/v1/sessions${path}`, {
      ...(body === undefined ? { headers } : post),
      signal: AbortSignal.timeout(ANSWER_MS),
    }).catch((error: unknown) => {
      const instead = 'name one by --admin-address, such as a port that is forwarded';
      throw new Error(`no controller answers at ${host}; ${instead}`, { cause: error });
    });
    const answer: unknown = await response.json().catch(() => undefined);
    if (response.ok && answer !== undefined) return answer as T;
    const { error } = (answer ?? {}) as { error?: unknown };
    throw new Error(typeof error === 'string' ? error : `the controller at ${host} answered ${response.status}`);
  };
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

function listText({ sessions: found, more, replicas }: Listing): string {
  const rest = more ? `there are more; --limit N shows up to ${MOST}, --policy and --pod narrow it down\n` : '';
  return `${table(found)}${rest}${silent(replicas)}`;
}

function changeText({ id, to, told }: Change): string {
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
  const lines = all.map((row) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  '));
  return lines.map((line) => `${line.trimEnd()}\n`).join('');
}
