/** Builds the scheduler of a server from its parts. */
import type { Logger } from 'pino';
import type { Store } from '../../../store/store.ts';
import type { Sealer } from '../../seal.ts';
import type { ControlPlane } from '../control.ts';
import type { BatchRunner } from '../batches/batch-runner.ts';
import { RunStarter } from './run-starter.ts';
import { Scheduler } from './scheduler.ts';

export interface Schedules {
  scheduler: Scheduler;
  starter: RunStarter;
  batches: BatchRunner;
  /** Continues unfinished batches, and starts to handle ticks. */
  start(): Promise<void>;
  /** Stops handling ticks and creating executions. Settles when nothing is under way. */
  stop(): Promise<void>;
}

export function buildSchedules(p: {
  store: Store;
  batches: BatchRunner;
  sealer: Sealer;
  control: () => Pick<ControlPlane, 'mayKeep'>;
  log: Pick<Logger, 'warn'>;
  /** ms since the epoch. */
  now: () => number;
}): Schedules {
  const { store, batches, log, now } = p;
  const starter = new RunStarter(p);
  const scheduler = new Scheduler({ store, starter, log, now });
  return {
    scheduler,
    starter,
    batches,
    async start() {
      await batches.start();
      scheduler.wake();
    },
    async stop() {
      await scheduler.stop();
      await batches.stop();
    },
  };
}
