/** Random histories of a machine: whatever happens, its invariants hold. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  DESIRED_STATES,
  type Machine,
  type MachineEvent,
  newMachine,
  transitionMachine,
} from '../../../src/core/machines/machine.ts';
import { PROVIDER_STATES } from '../../../src/core/machines/operation.ts';

const T0 = 1_000_000;

const events: fc.Arbitrary<MachineEvent> = fc.oneof(
  fc.constantFrom<MachineEvent>(
    { type: 'enrolled' },
    { type: 'agent_connected' },
    { type: 'agent_disconnected' },
    { type: 'forgotten' },
    { type: 'operation_interrupted' },
    { type: 'changed', resize: true },
  ),
  fc.constantFrom(...DESIRED_STATES).map((state) => ({ type: 'desired' as const, state })),
  fc.integer({ min: 1, max: 6 }).map((number) => ({ type: 'operation_begun' as const, number })),
  fc
    .tuple(fc.integer({ min: 1, max: 6 }), fc.constantFrom(...PROVIDER_STATES))
    .map(([number, state]) => ({ type: 'operation_answered' as const, number, state })),
  fc
    .tuple(fc.integer({ min: 1, max: 6 }), fc.boolean())
    .map(([number, retryable]) => ({ type: 'operation_failed' as const, number, message: 'x', retryable })),
);

/** The invariants between two states, for every event. */
function expectLegal(before: Machine, event: MachineEvent, next: Machine): void {
  expect(before.phase).not.toBe('destroyed');
  expect(next.revision).toBeGreaterThanOrEqual(before.revision + Number(next.phase !== before.phase));
  if (before.desiredState === 'destroyed') expect(next.desiredState).toBe('destroyed');
  // Work is dispatched exactly while the agent is connected and the machine is not being put to sleep.
  if (next.phase === 'running') expect(next.agent).toBe('connected');
  // At most one operation runs. Only the removal of the machine replaces a running hook.
  const settles = event.type.startsWith('operation_') || event.type === 'forgotten';
  if (before.operation?.running === true && !settles) expect(next.operation).toEqual(before.operation);
}

test('every history keeps the invariants', () => {
  fc.assert(
    fc.property(fc.boolean(), fc.array(events, { maxLength: 40 }), (withProvider, history) => {
      let machine = newMachine({ machineId: 'dm-one', now: T0, ...(withProvider && { provider: 'docker' }) });
      for (const event of history) {
        const step = transitionMachine(machine, event, T0);
        if (!step.ok) continue;
        expectLegal(machine, event, step.next);
        machine = step.next;
      }
    }),
  );
});
