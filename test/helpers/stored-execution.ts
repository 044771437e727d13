/** Makes an execution as the store returns it, for tests without a store. */
import type { Execution } from '../../src/store/store.ts';

export function storedExecution(parts: Partial<Execution> = {}): Execution {
  return {
    executionId: 'ex-1',
    machineId: 'dm-one',
    status: 'queued',
    command: ['/bin/true'],
    envKeys: [],
    stdinMode: 'none',
    createdAt: 1000,
    expiresAt: 1_000_000,
    stdout: { bytes: 0, truncated: false },
    stderr: { bytes: 0, truncated: false },
    lastSequence: 1,
    reported: 0,
    createdBy: 'admin',
    ...parts,
  };
}
