/** Errors for refused changes of machines. */
import type { MachineChangeRefusal } from '../../../core/decisions/machine-change.ts';
import { ApiError } from '../../../core/errors.ts';
import type { Machine } from '../../../store/store.ts';
import { invalid, type Problem } from './problem.ts';

interface Refused {
  refusal: MachineChangeRefusal;
  machine: Machine;
  activeExecutions: number;
}

const MESSAGES = {
  destroyed: 'The machine was removed.',
  no_provider: 'The machine has no provider, so the server cannot do that.',
  not_supported: 'The provider of the machine does not support that: see its capabilities.',
  active: 'Executions wait or run on the machine: wait for their end, or cancel them.',
} as const;

export const machineRefusal = {
  of({ refusal, machine, activeExecutions }: Refused, expectedRevision: number | undefined): ApiError | Problem {
    switch (refusal) {
      case 'revision_mismatch':
        return new ApiError('REVISION_MISMATCH', {
          details: { expected_revision: String(machine.revision), provided_revision: String(expectedRevision) },
        });
      case 'storage_below_present': {
        const message = `must be at least ${machine.facts.storage_gib}: storage can only grow`;
        return invalid([{ location: 'body.storage_gib', message }]);
      }
      case 'active':
        return invalidState(machine, MESSAGES.active, { active_executions: String(activeExecutions) }, true);
      case 'name_taken':
        return machineRefusal.nameTaken();
      case 'destroyed':
        return machineRefusal.removed(machine);
      default:
        return invalidState(machine, MESSAGES[refusal], { reason: refusal });
    }
  },

  removed(machine: Machine): ApiError {
    return invalidState(machine, MESSAGES.destroyed, {});
  },

  idRemoved(machine: Machine): ApiError {
    return invalidState(machine, 'The machine was removed: its id cannot be used again.', {});
  },

  nameTaken(): ApiError {
    const message = 'Another machine has this name.';
    return new ApiError('INVALID_STATE', { message, details: { reason: 'name_taken' } });
  },

  /** The id exists, or belonged to a removed machine. */
  idTaken(): ApiError {
    const message = 'A machine has or had this id: an id is never used again.';
    return new ApiError('INVALID_STATE', { message, details: { reason: 'id_taken' } });
  },

  providerFull(): ApiError {
    const message = 'The provider has reached its limit of machines (max_machines).';
    return new ApiError('INVALID_STATE', { message, retryable: true, details: { reason: 'max_machines' } });
  },
};

function invalidState(machine: Machine, message: string, details: Record<string, string>, retryable = false): ApiError {
  return new ApiError('INVALID_STATE', {
    message,
    retryable,
    details: {
      current_desired_state: machine.desiredState,
      current_observed_state: machine.phase,
      ...details,
    },
  });
}
