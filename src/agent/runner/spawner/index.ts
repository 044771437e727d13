/** Starts a spawner: the native one if its program exists and works, else the Node spawner. */
import { existsSync } from 'node:fs';
import { prebuiltPath } from '../../../node/native/prebuilt.ts';
import { openCgroupPool } from './cgroups.ts';
import { startNativeSpawner } from './native.ts';
import { startNodeSpawner } from './node.ts';
import type { Spawner, SpawnerEvents } from './spawner.ts';

export interface SpawnerOptions {
  /** `auto`, the default: native if it works. `native` rejects if it does not. */
  kind?: 'native' | 'node' | 'auto';
  events: SpawnerEvents;
  /** Directory for files of the Node spawner. */
  scratchDir: string;
  /** `false`: process trees are followed by the process table, even if cgroups are available. */
  cgroups?: boolean;
  /** The soft limit of open files that commands get. Absent: that of this process. */
  softFileLimit?: number | undefined;
}

/** Starts a spawner. It is ready when this settles. */
export async function startSpawner({
  kind = 'auto',
  events,
  scratchDir,
  cgroups = true,
  softFileLimit,
}: SpawnerOptions): Promise<Spawner> {
  if (kind === 'native' || (kind === 'auto' && existsSync(prebuiltPath('execplane-spawner')))) {
    const pool = cgroups ? openCgroupPool() : undefined;
    try {
      return await startNativeSpawner({
        binary: prebuiltPath('execplane-spawner'),
        events,
        cgroups: pool,
        softFileLimit,
      });
    } catch (error) {
      pool?.close();
      if (kind === 'native') throw error;
    }
  }
  return startNodeSpawner(events, scratchDir);
}
