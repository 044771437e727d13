import { tmpdir } from 'node:os';
import { type Finding, ok, warn } from '../../node/finding.ts';
import { startSpawner } from '../runner/spawner/index.ts';
import type { SpawnerEvents } from '../runner/spawner/spawner.ts';

/** Callbacks that do nothing, because no command is started. */
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

/** Checks whether the native spawner runs here. If it does not, the agent uses the Node spawner, which can do less. */
export async function examineSpawner(): Promise<Finding> {
  try {
    const spawner = await startSpawner({ kind: 'native', events: EVENTS, scratchDir: tmpdir(), cgroups: false });
    await spawner.close();
    return ok('spawner', 'the native spawner runs');
  } catch (error) {
    const remedy =
      'Linux on x64 and arm64 has a native spawner. Check that the program is executable and not on a file system mounted noexec.';
    return warn(
      'spawner',
      `${(error as Error).message}; the Node spawner is used, which starts fewer commands a second, has no terminals and no limits, and stops while a file system does not answer`,
      remedy,
    );
  }
}
