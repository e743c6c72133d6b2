/** A module that holds WebAssembly as text, made of its source. */
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import wabt from 'wabt';

/** `path`: of a `.wat` file. */
export async function wasmModule(path: string): Promise<string> {
  const source = basename(path);
  const toolkit = await wabt();
  const parsed = toolkit.parseWat(source, readFileSync(path, 'utf8'), { simd: true });
  const { buffer } = parsed.toBinary({});
  parsed.destroy();
  const text = Buffer.from(buffer).toString('base64');
  const lines = (text.match(/.{1,100}/g) ?? []).map((line) => `  '${line}',`);
  return [
    `/** Written by \`npm run generate\`; change ${source} instead. */`,
    `export const WASM = [`,
    ...lines,
    `].join('');`,
    '',
  ].join('\n');
}
