/** How the tests of the session store run: beside a real redis-server, which `npm test` does without. */
import { defineConfig } from 'vitest/config';
import base from './vitest.config.ts';

export default defineConfig({
  test: { ...base.test, include: ['test/store/**/*.test.ts'], exclude: [], fileParallelism: false },
});
