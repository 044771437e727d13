/** The resources that a path names, or a 404. */
import type { Execution, Machine } from '../../../store/store.ts';
import type { HttpContext } from '../http-context.ts';
import { notFound } from '../replies/problem.ts';

export async function findExecution(
  context: HttpContext,
  params: { machine_id: string; execution_id: string },
): Promise<Execution> {
  const execution = await context.store.getExecution({
    machineId: params.machine_id,
    executionId: params.execution_id,
  });
  if (execution === undefined || execution.isTerminal) throw notFound('There is no such execution on this machine.');
  return execution;
}

export async function findTerminal(
  context: HttpContext,
  params: { machine_id: string; terminal_id: string },
): Promise<Execution> {
  const found = await context.store.getExecution({ machineId: params.machine_id, executionId: params.terminal_id });
  if (found?.isTerminal === undefined) throw notFound('There is no such terminal on this machine.');
  return found;
}

/** Removed ones are shown for so long, in ms. */
const REMOVED_SHOWN_MS = 86_400_000;

/** Also one that was removed within the last 24 h. */
export async function findMachine(context: HttpContext, machineId: string): Promise<Machine> {
  const machine = await context.store.getMachine({ machineId });
  const isGone = machine?.phase === 'destroyed' && context.now() - machine.lastTransitionAt > REMOVED_SHOWN_MS;
  if (machine === undefined || isGone) throw notFound('There is no such machine.');
  return machine;
}
