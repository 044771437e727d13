import { defineConfig } from 'vitest/config';

/** Slow parts get a project of their own: what starts whole servers shares two cores with itself only. */
const shared = { pool: 'forks' as const, setupFiles: ['test/helpers/leaks.ts'], restoreMocks: true };

export default defineConfig({
  // As Node runs it: `using` needs no helpers.
  oxc: { target: 'esnext' },
  test: {
    maxWorkers: 2,
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
