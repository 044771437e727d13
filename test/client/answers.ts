/** Complete answers of a server, as described in src/api. */
import type { ExecutionWire } from '../../src/api/execution.ts';
import type { MachineDetailWire } from '../../src/api/machine.ts';

const AT = '2026-01-31T12:00:00.000Z';

export function answeredExecution(id: string): ExecutionWire {
  return {
    execution_id: id,
    machine_id: 'dm-one',
    status: 'succeeded',
    command: ['true'],
    created_at: AT,
    expires_at: AT,
  };
}

export function answeredMachine(): MachineDetailWire {
  return {
    machine_id: 'dm-one',
    vcpu: 1,
    memory_mib: 1024,
    storage_gib: 10,
    autosleep_seconds: 0,
    desired_state: 'running',
    status: {
      phase: 'running',
      reason: 'agent_connected',
      retryable: true,
      revision: '1',
      last_transition_at: AT,
      last_progress_at: AT,
    },
  };
}
