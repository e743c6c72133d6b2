/** Where the package's own files are, and its version; holds for src/ and dist/ alike, which lie side by side. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const ROOT = join(import.meta.dirname, '..');

/** The manifests that `holdfast demo` serves. */
export const EXAMPLES = join(ROOT, 'manifests', 'examples');

export function packageVersion(): string {
  const parsed: unknown = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
  const version = typeof parsed === 'object' && parsed !== null && 'version' in parsed ? parsed.version : undefined;
  return typeof version === 'string' ? version : 'unknown';
}
