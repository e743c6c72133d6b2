/** The files source against real folders and real edits. */
import { mkdir, mkdtemp, open, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Problem } from '../../../../src/model/problem.ts';
import type { SourceEvent } from '../../../../src/model/snapshot.ts';
import { startFilesSource, type FilesSource } from '../../../../src/source/files/files.ts';
import { readManifests } from '../../../../src/source/files/read.ts';

const DEADLINE = 8000;
const QUIET = { info: () => undefined, warn: () => undefined };

/** What the sink was told, as a store would hold it. */
class World {
  readonly events: SourceEvent[] = [];
  /** Port of each Service. */
  readonly ports = new Map<string, number>();
  readonly problems = new Map<string, readonly Problem[]>();
  #waiting: (() => void)[] = [];

  readonly sink = (event: SourceEvent): void => {
    this.events.push(event);
    if (event.type === 'apply' && event.resource?.kind === 'Service')
      this.ports.set(event.ref.name, event.resource.ports[0]?.port ?? 0);
    if (event.type === 'delete') this.ports.delete(event.ref.name);
    if (event.type === 'sourceProblems') this.problems.set(event.key, event.problems);
    for (const wake of this.#waiting.splice(0)) wake();
  };

  /** Resolves when `holds`; fails with what there is at the deadline. */
  async until(holds: () => boolean): Promise<void> {
    const deadline = AbortSignal.timeout(DEADLINE);
    while (!holds()) {
      if (deadline.aborted)
        throw new Error(
          `not within ${DEADLINE} ms; there is ${JSON.stringify([...this.ports])} ${this.messages().join()}`,
        );
      await new Promise<void>((resolve) => {
        this.#waiting.push(resolve);
        deadline.addEventListener('abort', () => resolve(), { once: true });
      });
    }
  }

  messages(): string[] {
    return [...this.problems.values()].flat().map(({ message, location }) => `${location?.line}: ${message}`);
  }

  deleted(): string[] {
    return this.events.flatMap((event) => (event.type === 'delete' ? [event.ref.name] : []));
  }
}

function manifest(name: string, port: number): string {
  return `apiVersion: v1\nkind: Service\nmetadata: {name: ${name}, namespace: ns}\nspec: {ports: [{port: ${port}}]}\n`;
}

let dir: string;
let world: World;
let source: FilesSource | undefined;

async function start(): Promise<void> {
  source = await startFilesSource(dir, world.sink, QUIET);
}

async function write(file: string, ...documents: string[]): Promise<void> {
  await writeFile(join(dir, file), documents.join('---\n'));
}

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'holdfast-files-'));
  world = new World();
});

afterEach(async () => {
  await source?.close();
  source = undefined;
  await rm(dir, { recursive: true, force: true });
});

describe('the first read', () => {
  it('sends everything, then synced', async () => {
    await mkdir(join(dir, 'team/web'), { recursive: true });
    await write('a.yaml', manifest('a', 1), manifest('b', 2));
    await write('team/web/c.yml', manifest('c', 3));
    await write(
      'd.json',
      '{"apiVersion": "v1", "kind": "Service", "metadata": {"name": "d"}, "spec": {"ports": [{"port": 4}]}}',
    );
    await write('.hidden.yaml', manifest('hidden', 5));
    await write('a.yaml.swp', manifest('swap', 6));
    await write('notes.txt', 'no manifest');
    await start();
    expect([...world.ports]).toEqual([
      ['a', 1],
      ['b', 2],
      ['d', 4],
      ['c', 3],
    ]);
    expect(world.events.map(({ type }) => type)).toEqual(['apply', 'apply', 'apply', 'apply', 'synced']);
    expect(world.messages()).toEqual([]);
  });

  it('reports a broken file with its line and sends the rest', async () => {
    await write('a.yaml', manifest('a', 1));
    await write('broken.yaml', manifest('b', 2), 'kind: [\n');
    await start();
    expect([...world.ports.keys()]).toEqual(['a']);
    expect(
      world.problems.get('broken.yaml')?.map(({ location, object }) => [location?.file, location?.line, object.kind]),
    ).toEqual([[join(dir, 'broken.yaml'), 7, 'File']]);
  });

  it('refuses a path that is no folder', async () => {
    await expect(startFilesSource(join(dir, 'nowhere'), world.sink, QUIET)).rejects.toThrow('is not a folder');
  });

  it('follows links that lead in a circle once', async () => {
    await write('a.yaml', manifest('a', 1));
    await symlink(dir, join(dir, 'circle'));
    await start();
    expect([...world.ports.keys()]).toEqual(['a']);
    expect(world.messages()).toEqual([]);
  });
});

describe('edits', () => {
  beforeEach(async () => {
    await mkdir(join(dir, 'nested'));
    await write('a.yaml', manifest('a', 1), manifest('b', 2));
    await write('nested/n.yaml', manifest('n', 3));
    await start();
  });

  it('sees a file rewritten in place, and tells only what changed', async () => {
    const before = world.events.length;
    await write('a.yaml', manifest('a', 10), manifest('b', 2));
    await world.until(() => world.ports.get('a') === 10);
    await write('nested/n.yaml', manifest('n', 30));
    await world.until(() => world.ports.get('n') === 30);
    expect(world.deleted()).toEqual([]);
    expect(world.events.slice(before).every(({ type }) => type === 'apply')).toBe(true);
  });

  it('sees an atomic rename', async () => {
    await writeFile(join(dir, '.a.yaml.tmp'), manifest('a', 11));
    await rename(join(dir, '.a.yaml.tmp'), join(dir, 'a.yaml'));
    await world.until(() => world.ports.get('a') === 11 && !world.ports.has('b'));
    expect(world.deleted()).toEqual(['b']);
  });

  it('sees new folders and files in them', async () => {
    await mkdir(join(dir, 'x/y'), { recursive: true });
    await write('x/y/z.yaml', manifest('z', 4));
    await world.until(() => world.ports.get('z') === 4);
    await write('x/y/z.yaml', manifest('z', 5));
    await world.until(() => world.ports.get('z') === 5);
  });

  it('deletes what a removed document, file or folder held', async () => {
    await write('a.yaml', manifest('a', 1));
    await world.until(() => !world.ports.has('b'));
    await rm(join(dir, 'nested'), { recursive: true });
    await world.until(() => !world.ports.has('n'));
    await rm(join(dir, 'a.yaml'));
    await world.until(() => world.ports.size === 0);
  });

  it('keeps the last good objects of a file that breaks, until it is whole again', async () => {
    await write('a.yaml', manifest('a', 10), 'kind: "Serv');
    await world.until(() => world.messages().length === 1);
    expect(world.messages()[0]).toMatch(/^6: The file cannot be read as YAML/);
    expect(world.ports.get('a')).toBe(1);
    expect(world.ports.get('b')).toBe(2);
    await write('a.yaml', manifest('a', 10), manifest('b', 2));
    await world.until(() => world.messages().length === 0 && world.ports.get('a') === 10);
    expect(world.deleted()).toEqual([]);
  });

  it('keeps the objects of a file that is truncated before it is written', async () => {
    const file = await open(join(dir, 'a.yaml'), 'w');
    try {
      await world.until(() => world.messages().some((message) => message.includes('empty')));
      expect(world.ports.get('a')).toBe(1);
      await file.writeFile(manifest('a', 12));
    } finally {
      await file.close();
    }
    await world.until(() => world.ports.get('a') === 12 && world.messages().length === 0);
    expect(world.deleted()).toEqual(['b']);
  });

  it('T66 a file deleted and written anew at once deletes nothing', async () => {
    for (let i = 20; i < 25; i++) {
      await rm(join(dir, 'a.yaml'));
      await write('a.yaml', manifest('a', i), manifest('b', 2));
      await world.until(() => world.ports.get('a') === i);
    }
    expect(world.deleted()).toEqual([]);
  });

  it('moves an object from one file to another without deleting it', async () => {
    await write('c.yaml', manifest('b', 22));
    await world.until(() => world.messages().length === 1);
    await write('a.yaml', manifest('a', 1));
    await world.until(() => world.ports.get('b') === 22 && world.messages().length === 0);
    expect(world.deleted()).toEqual([]);
  });

  it('uses the first of two files with one object and names both', async () => {
    await write('nested/z.yaml', '# comment\n', manifest('a', 99));
    await world.until(() => world.messages().length === 1);
    const [message] = world.messages();
    expect(message).toContain(`${join(dir, 'a.yaml')}:1`);
    expect(message).toContain(`${join(dir, 'nested/z.yaml')}:3`);
    expect(world.ports.get('a')).toBe(1);
    await rm(join(dir, 'a.yaml'));
    await world.until(() => world.ports.get('a') === 99 && world.messages().length === 0);
  });

  it('sends a refused object without a resource', async () => {
    await write('a.yaml', 'apiVersion: v9\nkind: Service\nmetadata: {name: a, namespace: ns}\n', manifest('b', 2));
    await world.until(() => world.events.some((event) => event.type === 'apply' && event.resource === undefined));
    const refused = world.events.findLast((event) => event.type === 'apply' && event.ref.name === 'a');
    expect(refused?.type === 'apply' && refused.problems.map(({ field, location }) => [field, location?.line])).toEqual(
      [['apiVersion', 1]],
    );
    expect(world.deleted()).toEqual([]);
  });

  it('follows a folder that is replaced by another of its name', async () => {
    await mkdir(join(dir, '.new'));
    await write('.new/n.yaml', manifest('n', 50));
    await rename(join(dir, 'nested'), join(dir, '.old'));
    await rename(join(dir, '.new'), join(dir, 'nested'));
    await world.until(() => world.ports.get('n') === 50);
    await write('nested/n.yaml', manifest('n', 51));
    await world.until(() => world.ports.get('n') === 51);
    expect(world.deleted()).toEqual([]);
  });

  it('keeps everything when the folder itself goes away', async () => {
    await rename(dir, `${dir}-away`);
    try {
      await world.until(() => world.messages().length > 0);
      expect(world.ports.size).toBe(3);
    } finally {
      await rename(`${dir}-away`, dir);
    }
    await world.until(() => world.messages().length === 0);
    await write('a.yaml', manifest('a', 40), manifest('b', 2));
    await world.until(() => world.ports.get('a') === 40);
    expect(world.deleted()).toEqual([]);
  });
});

describe('a mounted ConfigMap', () => {
  it('swaps all files at once', async () => {
    const version = async (name: string, port: number): Promise<void> => {
      await mkdir(join(dir, name));
      await writeFile(join(dir, name, 'a.yaml'), manifest('a', port));
      await writeFile(join(dir, name, 'b.yaml'), manifest('b', port));
      await symlink(name, join(dir, '..data_tmp'));
      await rename(join(dir, '..data_tmp'), join(dir, '..data'));
    };
    await version('..v1', 1);
    await symlink('..data/a.yaml', join(dir, 'a.yaml'));
    await symlink('..data/b.yaml', join(dir, 'b.yaml'));
    await start();
    expect([...world.ports]).toEqual([
      ['a', 1],
      ['b', 1],
    ]);
    await version('..v2', 2);
    await rm(join(dir, '..v1'), { recursive: true });
    await world.until(() => world.ports.get('a') === 2);
    expect([...world.ports]).toEqual([
      ['a', 2],
      ['b', 2],
    ]);
    expect(world.deleted()).toEqual([]);
  });
});

describe('readManifests', () => {
  it('reads files and folders once', async () => {
    await mkdir(join(dir, 'nested'));
    await write('one.txt', manifest('a', 1));
    await write('nested/n.yaml', manifest('n', 3), manifest('a', 9));
    const events = await readManifests([join(dir, 'one.txt'), join(dir, 'nested'), join(dir, 'nowhere.yaml')]);
    expect(events.map((event) => (event.type === 'apply' ? event.ref.name : event.type))).toEqual([
      'n',
      'a',
      'sourceProblems',
      'sourceProblems',
      'synced',
    ]);
  });
});
