/** Two replicas of the application in this process, with the same manifests and session keys. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Config } from '../../src/config/config.ts';
import { closeAtEnd, makeFolder, startApp } from './app.ts';
import type { App } from './app.ts';

export async function startReplicas(
  manifests: Readonly<Record<string, string>>,
  config: Partial<Config>,
): Promise<[App, App]> {
  const folder = await makeFolder();
  closeAtEnd(() => rm(folder, { recursive: true, force: true }));
  const all = { ...config, sessionKeysFile: join(folder, 'keys.json'), logLevel: 'info' as const };
  return [await startApp({ manifests, config: all }), await startApp({ manifests, config: all })];
}
