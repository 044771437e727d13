import { defineConfig } from 'vitest/config';

/** Tests that start whole servers are a project of their own, with longer time-outs. */
const shared = {
  pool: 'forks' as const,
  setupFiles: ['test/helpers/leaks.ts'],
  restoreMocks: true,
  /** Of the tests of one file that may run at the same time (`test.concurrent`), because they wait for long. */
  maxConcurrency: 2,
};

export default defineConfig({
  // As Node runs it: `using` needs no helpers.
  oxc: { target: 'esnext' },
  test: {
    // More than the two cores of CI: most tests wait for processes, links and timers rather than compute.
    maxWorkers: 3,
    reporters: ['default'],
    projects: [
      {
        test: {
          ...shared,
          name: 'unit',
          include: ['test/**/*.test.ts'],
          exclude: ['test/integration/**', 'test/chaos/**', 'test/security/**', 'test/fuzz/**'],
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
      {
        test: {
          ...shared,
          name: 'integration',
          include: ['integration', 'chaos', 'security', 'fuzz'].map((folder) => `test/${folder}/**/*.test.ts`),
          testTimeout: 120_000,
          hookTimeout: 240_000,
        },
      },
    ],
  },
});
