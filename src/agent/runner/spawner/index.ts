/** The way to a spawner: the native one where its program is at hand and works, else the one of Node. */
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { openCgroupPool } from './cgroups.ts';
import { startNativeSpawner } from './native.ts';
import { startNodeSpawner } from './node.ts';
import type { Spawner, SpawnerEvents } from './spawner.ts';

export interface SpawnerOptions {
  /** `auto`, the default: native where it works; `native` rejects where it does not. */
  kind?: 'native' | 'node' | 'auto';
  events: SpawnerEvents;
  /** A directory of the caller's for what the Node spawner has to put into files. */
  scratchDir: string;
  /** `false`: process trees are followed by the process table, even where cgroups could be had. */
  cgroups?: boolean;
  /** The soft limit of open files that commands get; absent: that of this process. */
  softFileLimit?: number | undefined;
}

/** Starts a spawner; it is ready when this settles. */
export async function startSpawner({
  kind = 'auto',
  events,
  scratchDir,
  cgroups = true,
  softFileLimit,
}: SpawnerOptions): Promise<Spawner> {
  if (kind === 'native' || (kind === 'auto' && existsSync(nativeBinary()))) {
    const pool = cgroups ? openCgroupPool() : undefined;
    try {
      return await startNativeSpawner({ binary: nativeBinary(), events, cgroups: pool, softFileLimit });
    } catch (error) {
      pool?.close();
      if (kind === 'native') throw error;
    }
  }
  return startNodeSpawner(events, scratchDir);
}

/** Where the program for this platform would be; src/ and dist/ are equally deep in the package. */
function nativeBinary(): string {
  return fileURLToPath(
    new URL(`../../../../native/prebuilt/${process.platform}-${process.arch}/execplane-spawner`, import.meta.url),
  );
}
