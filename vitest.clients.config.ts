/** How the tests with real clients run: one file after the other beside curl, h2load and Chromium, which `npm test` does without. */
import { defineConfig } from 'vitest/config';
import base from './vitest.config.ts';

export default defineConfig({
  test: { ...base.test, include: ['test/clients/**/*.test.ts'], exclude: [], fileParallelism: false },
});
