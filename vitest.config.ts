/** How the tests run: real processes, a generous limit each, no network but loopback. */
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // These need a cluster (`npm run test:e2e`), redis-server (`test:store`) or curl, h2load and Chromium (`test:clients`).
    exclude: ['test/e2e/**', 'test/store/**', 'test/clients/**'],
    pool: 'forks',
    reporters: ['default', './test/support/behaviours-reporter.ts'],
    // Workers overwrite their shared read buffers after each use: bytes kept without copying show.
    env: { HF_TEST_POISON_READS: '1' },
    testTimeout: 30_000,
    hookTimeout: 30_000,
    // A failing test must fail every time: no retries.
    retry: 0,
  },
});
