import type { Spawner, SpawnerEvents } from './spawner.ts';
export async function startNodeSpawner(events: SpawnerEvents, scratchDir: string): Promise<Spawner> {
  throw new Error(String(events) + scratchDir);
}
