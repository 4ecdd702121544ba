import { defineConfig } from 'vitest/config';

// Tests in a real browser. They start servers of their own, so they run one file at a time.
export default defineConfig({
  test: {
    include: ['e2e/**/*.test.ts'],
    environment: 'node',
    fileParallelism: false,
    // Pictures to encode and decode: more at a time only wait for each other.
    maxConcurrency: 1,
    // Where a machine is so busy that a picture comes too late, another try is right; what is broken fails three times.
    retry: 2,
    testTimeout: 60_000,
    hookTimeout: 180_000,
  },
});
