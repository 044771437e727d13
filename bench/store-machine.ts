/** For benches of the store alone: a store with a connected machine, and executions for it. */
import { openSqliteStore } from '../src/store/sqlite/store.ts';
import type { Store } from '../src/store/store.ts';

export const MACHINE = 'dm-bench';
export const RUNNER = 'runner-1';

/** Opens a new database at `path`. */
export async function storeWithMachine(path: string): Promise<Store> {
  const store = openSqliteStore({ path });
  await connectMachine(store);
  return store;
}

/** Creates the machine, with a connected runner. */
export async function connectMachine(store: Store): Promise<void> {
  const now = Date.now();
  await store.createMachine({ machineId: MACHINE, now });
  const facts = { vcpu: 2, memory_mib: 4096, storage_gib: 10 };
  await store.machineConnected({ machineId: MACHINE, runnerInstance: RUNNER, bootId: 'boot', facts, now });
}

/** Creates an execution durably, dispatched or waiting. Throws if it was not created. */
export async function createIn(store: Store, executionId: string, dispatch: boolean): Promise<void> {
  const now = Date.now();
  const execution = {
    executionId,
    machineId: MACHINE,
    command: ['/bin/echo', 'hello'],
    envKeys: [],
    stdinMode: 'none',
    expiresAt: now + 3_600_000,
    createdBy: 'admin',
  } as const;
  const outcome = await store.createExecution({
    execution,
    now,
    queueLimit: 10_000_000,
    // The first connection of the machine.
    ...(dispatch ? { dispatchTo: { runnerInstance: RUNNER, epoch: 1 } } : {}),
  });
  if (outcome.outcome !== 'created') throw new Error(outcome.outcome);
}
