/** Looks up the resource of a path, or throws a 404. */
import type { Execution, Machine, Schedule, Store } from '../../../store/store.ts';
import type { Schedules } from '../../control/schedules/schedules.ts';
import type { Principal } from '../authentication/key-ring.ts';
import { notFound } from '../replies/problem.ts';

interface Executions {
  store: Pick<Store, 'getExecution'>;
}

/** Returns the execution of a path. Throws a 404 if it does not exist or is a terminal. */
export async function findExecution(
  { store }: Executions,
  params: { machine_id: string; execution_id: string },
): Promise<Execution> {
  const execution = await store.getExecution({
    machineId: params.machine_id,
    executionId: params.execution_id,
  });
  if (execution === undefined || execution.isTerminal) throw notFound('The machine has no such execution.');
  return execution;
}

/** Returns the terminal of a path. Throws a 404 if it does not exist. */
export async function findTerminal(
  { store }: Executions,
  params: { machine_id: string; terminal_id: string },
): Promise<Execution> {
  const found = await store.getExecution({ machineId: params.machine_id, executionId: params.terminal_id });
  if (found?.isTerminal === undefined) throw notFound('The machine has no such terminal.');
  return found;
}

/** Time for which removed machines are shown, in ms. */
const REMOVED_SHOWN_MS = 86_400_000;

/** Returns the machine of a path, also one that was removed within the last 24 h. Throws a 404 if it does not exist. */
export async function findMachine(
  { store, now }: { store: Pick<Store, 'getMachine'>; now: () => number },
  machineId: string,
): Promise<Machine> {
  const machine = await store.getMachine({ machineId });
  const isGone = machine?.phase === 'destroyed' && now() - machine.lastTransitionAt > REMOVED_SHOWN_MS;
  if (machine === undefined || isGone) throw notFound('The machine does not exist.');
  return machine;
}

/** Returns a schedule. A key that is limited to some machines has access to its own schedules only. */
export async function findSchedule(
  context: Pick<Schedules, 'scheduler'>,
  principal: Principal,
  scheduleId: string,
): Promise<Schedule> {
  const schedule = await context.scheduler.store.getSchedule({ scheduleId });
  const isVisible = principal.machineIds === undefined || schedule?.createdBy === principal.apiKeyId;
  if (schedule === undefined || !isVisible) throw noSchedule();
  return schedule;
}

/** Returns the 404 of a schedule. */
export function noSchedule() {
  return notFound('There is no such schedule.');
}
