/** `npm run build`: compiles src to dist and makes dist/main.js executable. */
import { spawnSync } from 'node:child_process';
import { chmodSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..');
const dist = join(root, 'dist');
const main = join(dist, 'main.js');
const tsc = createRequire(import.meta.url).resolve('typescript/bin/tsc');

rmSync(dist, { recursive: true, force: true });
const { status } = spawnSync(process.execPath, [tsc, '--project', join(root, 'tsconfig.build.json')], {
  stdio: 'inherit',
});
if (status !== 0) process.exit(status ?? 1);
if (!readFileSync(main, 'utf8').startsWith('#!')) {
  console.error('dist/main.js has no shebang line: it could not be run as a command');
  process.exit(1);
}
chmodSync(main, 0o755);
console.log('built dist/');
