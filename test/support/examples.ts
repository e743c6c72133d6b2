/** The bundled example manifests on free ports: the fixed ones may be taken by a demo that somebody has running. */
import { once } from 'node:events';
import { cpSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { ROOT } from '../unit/cli/run-cli.ts';

/** Copies them to the folder `to`, which is made. */
export async function copyExamples(to: string): Promise<void> {
  cpSync(join(ROOT, 'manifests', 'examples'), to, { recursive: true });
  const taken = [];
  for (const file of readdirSync(to)) {
    let text = readFileSync(join(to, file), 'utf8');
    for (const [fixed] of text.matchAll(/\b180\d\d\b/g)) {
      const server = createServer().listen(0, '127.0.0.1');
      await once(server, 'listening');
      taken.push(server);
      text = text.replace(fixed, String((server.address() as AddressInfo).port));
    }
    writeFileSync(join(to, file), text);
  }
  for (const server of taken) {
    server.close();
    await once(server, 'close');
  }
}
