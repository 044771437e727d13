/** Metrics of the store's commits: their writes and their duration. */
import { Histogram, type Registry } from 'prom-client';
import { SECONDS } from './buckets.ts';

const WRITES = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024];

export interface CommitMetrics {
  /** Called after each commit. The time includes work and flush, in ms. */
  observe(commit: { writes: number; durationMs: number }): void;
}

/** Adds the metrics of commits to `registry`. */
export function createCommitMetrics(registry: Registry): CommitMetrics {
  const registers = [registry];
  const writes = new Histogram({
    name: 'execplane_commit_writes',
    help: 'Writes that share a commit.',
    buckets: WRITES,
    registers,
  });
  const duration = new Histogram({
    name: 'execplane_commit_duration_seconds',
    help: 'Time of a commit, its disk flush included.',
    buckets: SECONDS,
    registers,
  });
  return {
    observe(commit) {
      writes.observe(commit.writes);
      duration.observe(commit.durationMs / 1000);
    },
  };
}
