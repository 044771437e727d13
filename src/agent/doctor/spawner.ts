import { tmpdir } from 'node:os';
import { type Finding, ok, warn } from '../../core/finding.ts';
import { startSpawner } from '../runner/spawner/index.ts';
import type { SpawnerEvents } from '../runner/spawner/spawner.ts';

/** Nothing is spawned. */
const EVENTS: SpawnerEvents = {
  resolved() {},
  started() {},
  failed() {},
  output() {},
  tail() {},
  counted() {},
  stdinTaken() {},
  exited() {},
  lost() {},
};

/** Whether the native spawner runs here; where not, the one of Node does its work, with less. */
export async function examineSpawner(): Promise<Finding> {
  try {
    const spawner = await startSpawner({ kind: 'native', events: EVENTS, scratchDir: tmpdir(), cgroups: false });
    await spawner.close();
    return ok('spawner', 'the native one runs');
  } catch (error) {
    const remedy = 'Linux on x64 or arm64 has one; is the program executable, on a file system that is not noexec?';
    return warn('spawner', `${(error as Error).message}; Node's is used, and starts fewer commands a second`, remedy);
  }
}
