/** Reconciles the executions that a connecting agent holds with those that were dispatched to it. A pure decision. */
import type { Held, Hello } from '../../../core/protocol.ts';
import type { Execution } from '../../../store/store.ts';

export interface Reconciliation {
  /** Executions that never arrived at this instance: to send again, by rising dispatch number (unless cancelled or expired). */
  undelivered: Execution[];
  /** Executions whose outcome cannot be known, with the reason. */
  lost: { execution: Execution; reason: string }[];
  /** Held by the agent and not ended in the store: their outcome follows from their reports. */
  held: Execution[];
  /** `held` in the form of the welcome frame: the number up to which their reports are on disk. */
  acks: [executionId: string, reported: number][];
  /** Held by the agent, but ended, unknown or of another machine. */
  forget: string[];
  /** Held and not ended, with a cancel requested: the cancel is sent again. */
  cancel: string[];
}

const LOST_HERE = 'The runner accepted the command and has no record of it.';
const LOST_BEFORE = 'The runner that had the command is gone: the outcome cannot be known.';

/**
 * Decides for each dispatched and each held execution. `dispatched`: all that are dispatched to the machine and not terminal, by rising
 * dispatch number. Starts arrive in the order of their numbers, so an execution that this instance has not accepted has a number above its
 * `last_dispatch_number`, and only such an execution may be sent again.
 */
export function reconcile(
  hello: Pick<Hello, 'runner_instance' | 'last_dispatch_number' | 'held'>,
  dispatched: readonly Execution[],
): Reconciliation {
  const held = new Map<string, Held>(hello.held.map((one) => [one.execution_id, one]));
  const plan: Reconciliation = { undelivered: [], lost: [], held: [], acks: [], forget: [], cancel: [] };
  for (const execution of dispatched) {
    const here = held.get(execution.executionId);
    held.delete(execution.executionId);
    if (here !== undefined) keep(plan, execution, here);
    else if (execution.dispatchedTo !== hello.runner_instance) plan.lost.push({ execution, reason: LOST_BEFORE });
    else if ((execution.dispatchNumber ?? 0) <= hello.last_dispatch_number)
      plan.lost.push({ execution, reason: LOST_HERE });
    else plan.undelivered.push(execution);
  }
  plan.forget.push(...held.keys());
  return plan;
}

function keep(plan: Reconciliation, execution: Execution, here: Held): void {
  plan.held.push(execution);
  plan.acks.push([execution.executionId, execution.reported]);
  if (execution.cancelRequestedAt !== undefined && here.state !== 'ended') plan.cancel.push(execution.executionId);
}
