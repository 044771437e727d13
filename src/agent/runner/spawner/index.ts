/** The way to a spawner: the native one where its program is at hand and works, else the one of Node. */
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { startNativeSpawner } from './native.ts';
import { startNodeSpawner } from './node.ts';
import type { Spawner, SpawnerEvents } from './spawner.ts';

export interface SpawnerOptions {
  /** `auto`, the default: native where it works; `native` rejects where it does not. */
  kind?: 'native' | 'node' | 'auto';
  events: SpawnerEvents;
  /** A directory of the caller's for what the Node spawner has to put into files. */
  scratchDir: string;
}

/** Starts a spawner; it is ready when this settles. */
export async function startSpawner({ kind = 'auto', events, scratchDir }: SpawnerOptions): Promise<Spawner> {
  if (kind === 'node') return startNodeSpawner(events, scratchDir);
  const binary = nativeBinary();
  if (kind === 'native') return startNativeSpawner(binary, events);
  if (!existsSync(binary)) return startNodeSpawner(events, scratchDir);
  try {
    return await startNativeSpawner(binary, events);
  } catch {
    return startNodeSpawner(events, scratchDir);
  }
}

/** Where the program for this platform would be; src/ and dist/ are equally deep in the package. */
function nativeBinary(): string {
  return fileURLToPath(
    new URL(`../../../../native/prebuilt/${process.platform}-${process.arch}/execplane-spawner`, import.meta.url),
  );
}
