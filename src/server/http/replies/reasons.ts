/** Determines the reason of a state (`include=reason`), and converts it to the API's form. */
import type { ReasonWire } from '../../../api/fields.ts';
import { machineReason, type Reason } from '../../../core/decisions/machine-reason.ts';
import { executionReason } from '../../../core/decisions/reason.ts';
import type { Execution, Machine, Store } from '../../../store/store.ts';
import { time } from './wire.ts';

interface Reasons {
  store: Pick<Store, 'getMachine' | 'queuePlace'>;
  config: { agentLostAfterMs: number };
  /** ms since the epoch. */
  now: () => number;
}

export async function executionReasonWire({ store, config, now }: Reasons, execution: Execution): Promise<ReasonWire> {
  const { machineId, executionId, status, dispatchedTo } = execution;
  const machine = await store.getMachine({ machineId });
  const waits = status === 'queued' && dispatchedTo === undefined;
  const place = waits ? await store.queuePlace({ machineId, executionId }) : undefined;
  const context = { machine, now: now(), lostAfterMs: config.agentLostAfterMs };
  return wire(executionReason(execution, { ...context, ...(place === undefined ? {} : { place }) }));
}

export function machineReasonWire({ config, now }: Omit<Reasons, 'store'>, machine: Machine): ReasonWire {
  return wire(machineReason(machine, { now: now(), lostAfterMs: config.agentLostAfterMs }));
}

function wire({ message, since, until, next }: Reason): ReasonWire {
  return {
    message,
    since: time(since),
    ...(until === undefined ? {} : { until: time(until) }),
    ...(next === undefined ? {} : { next }),
  };
}
