/** Metrics of the store's commits: their writes and their duration. */
import type { MetricSource } from './exposition.ts';
import { Histogram, histogramFamily, SECONDS } from './histogram.ts';

const WRITES = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024] as const;

export interface CommitMetrics {
  /** Called after each commit. The time includes work and flush, in ms. */
  observe(commit: { writes: number; durationMs: number }): void;
  expose: MetricSource;
}

export function createCommitMetrics(): CommitMetrics {
  const writes = new Histogram(WRITES);
  const duration = new Histogram(SECONDS);
  return {
    observe(commit) {
      writes.observe(commit.writes);
      duration.observe(commit.durationMs / 1000);
    },
    expose: () =>
      histogramFamily('execplane_commit_writes', 'Writes that share a commit.', [['', writes]]) +
      histogramFamily('execplane_commit_duration_seconds', 'Time of a commit, its disk flush included.', [
        ['', duration],
      ]),
  };
}
