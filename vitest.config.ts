import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    globalSetup: 'test/support/versitygw.ts',
    include: ['{shared,functions,agent}/**/*.test.ts', 'test/**/*.test.ts'],
    testTimeout: 60_000,
    hookTimeout: 120_000,
    // Two cores: more workers only make real servers and mounts wait for each other.
    maxWorkers: 2,
  },
});
