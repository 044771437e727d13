/** The resources that a path names, or a 404. */
import type { Execution, Machine } from '../../../store/store.ts';
import type { Edge } from '../http-context.ts';
import { notFound } from '../replies/problem.ts';

export async function findExecution(
  edge: Edge,
  params: { machine_id: string; execution_id: string },
): Promise<Execution> {
  const execution = await edge.store.getExecution({
    machineId: params.machine_id,
    executionId: params.execution_id,
  });
  if (execution === undefined) throw notFound('There is no such execution on this machine.');
  return execution;
}

/** Also a removed one. */
export async function findMachine(edge: Edge, machineId: string): Promise<Machine> {
  const machine = await edge.store.getMachine({ machineId });
  if (machine === undefined) throw notFound('There is no such machine.');
  return machine;
}
