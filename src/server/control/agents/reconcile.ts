/** Reconciling: what an agent that comes back holds, against what was dispatched to it. A pure decision. */
import type { Held, Hello } from '../../../core/protocol.ts';
import type { Execution } from '../../../store/store.ts';

export interface Reconciliation {
  /** Never arrived at this very instance: to be sent again, by rising dispatch number (unless cancelled or expired). */
  undelivered: Execution[];
  /** Their fate can't be known, with the reason. */
  lost: { execution: Execution; reason: string }[];
  /** Held here and open in the store: their reports will tell. */
  held: Execution[];
  /** The same for `welcome`: up to which number their reports are on disk. */
  acks: [executionId: string, reported: number][];
  /** Held, but over, unknown or not this machine's. */
  forget: string[];
  /** Held and not ended, and somebody asked to cancel: told again. */
  cancel: string[];
}

const LOST_HERE = 'The runner took the command on and has no record of it.';
const LOST_BEFORE = 'The runner that had the command is gone; whether and how it ran cannot be known.';

/**
 * Decides for each execution of `dispatched` (all of the machine that are dispatched and not terminal, by rising
 * dispatch number) and each one held. Starts arrive in the order of their numbers, so what this instance has not
 * taken on lies above its `last_dispatch_number`, and only that may be sent again.
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
