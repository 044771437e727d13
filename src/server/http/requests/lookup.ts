/** The resources that a path names, or a 404. */
import type { Execution, Machine, Store } from '../../../store/store.ts';
import { notFound } from '../replies/problem.ts';

interface Executions {
  store: Pick<Store, 'getExecution'>;
}

export async function findExecution(
  { store }: Executions,
  params: { machine_id: string; execution_id: string },
): Promise<Execution> {
  const execution = await store.getExecution({
    machineId: params.machine_id,
    executionId: params.execution_id,
  });
  if (execution === undefined || execution.isTerminal) throw notFound('There is no such execution on this machine.');
  return execution;
}

export async function findTerminal(
  { store }: Executions,
  params: { machine_id: string; terminal_id: string },
): Promise<Execution> {
  const found = await store.getExecution({ machineId: params.machine_id, executionId: params.terminal_id });
  if (found?.isTerminal === undefined) throw notFound('There is no such terminal on this machine.');
  return found;
}

/** Removed ones are shown for so long, in ms. */
const REMOVED_SHOWN_MS = 86_400_000;

/** Also one that was removed within the last 24 h. */
export async function findMachine(
  { store, now }: { store: Pick<Store, 'getMachine'>; now: () => number },
  machineId: string,
): Promise<Machine> {
  const machine = await store.getMachine({ machineId });
  const isGone = machine?.phase === 'destroyed' && now() - machine.lastTransitionAt > REMOVED_SHOWN_MS;
  if (machine === undefined || isGone) throw notFound('There is no such machine.');
  return machine;
}
