/** Computes the time after which a client should poll an execution that waits for its machine. */
import type { Execution, Store } from '../../../store/store.ts';

/** The time for a machine that is not expected at a known time. */
export const WAKE_RETRY_AFTER_MS = 1000;
const MIN_MS = 250;
const MAX_MS = 60_000;

interface Machines {
  store: Pick<Store, 'getMachine'>;
  /** ms since the epoch. */
  now: () => number;
}

/** Reads the machines of waiting executions. Returns a function from an execution to its retry time, in ms. */
export async function wakeRetries(
  { store, now }: Machines,
  executions: readonly Execution[],
): Promise<(execution: Execution) => number> {
  const waiting = executions.filter(({ status }) => status === 'wake_in_progress');
  const machineIds = new Set(waiting.map(({ machineId }) => machineId));
  const retries = new Map<string, number>();
  for (const machineId of machineIds) {
    const machine = await store.getMachine({ machineId });
    if (machine?.expectedAt !== undefined) retries.set(machineId, within(machine.expectedAt - now()));
  }
  return ({ machineId }) => retries.get(machineId) ?? WAKE_RETRY_AFTER_MS;
}

/** Returns the retry time of one execution, in ms. */
export async function wakeRetryAfterMs(machines: Machines, execution: Execution): Promise<number> {
  return (await wakeRetries(machines, [execution]))(execution);
}

function within(ms: number): number {
  return Math.min(MAX_MS, Math.max(MIN_MS, ms));
}
