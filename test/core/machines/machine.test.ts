import { describe, expect, test } from 'vitest';
import { RULES, type ObservedState } from '../../../src/core/machines/lifecycle.ts';
import {
  DESIRED_STATES,
  type DesiredState,
  type Machine,
  type MachineEvent,
  newMachine,
  transitionMachine,
} from '../../../src/core/machines/machine.ts';
import type { PROVIDER_STATES } from '../../../src/core/machines/operation.ts';

const T0 = 1_000_000;
const unmanaged = () => newMachine({ machineId: 'dm-one', now: T0 });
const managed = () => newMachine({ machineId: 'dm-one', now: T0, provider: 'docker' });

/** Applies the events one after the other; each must be accepted. */
function apply(machine: Machine, ...events: readonly MachineEvent[]): Machine {
  return events.reduce((state, event) => {
    const step = transitionMachine(state, event, T0 + 1);
    if (!step.ok) throw new Error(`${event.type}: ${step.refusal}`);
    return step.next;
  }, machine);
}
/** The events that begin and complete the next operation of the machine. */
function answer(machine: Machine, state: (typeof PROVIDER_STATES)[number]): Machine {
  const number = machine.operation?.number ?? 0;
  return apply(machine, { type: 'operation_begun', number }, { type: 'operation_answered', number, state });
}
function fail(machine: Machine, retryable: boolean): Machine {
  const number = machine.operation?.number ?? 0;
  const failure = { type: 'operation_failed', number, message: 'no quota', retryable } as const;
  return apply(machine, { type: 'operation_begun', number }, failure);
}
const LOST = (state: string) => `the provider answered "${state}" to describe, after it had started the machine`;
const desire = (state: DesiredState) => ({ type: 'desired', state }) as const;
const up = () => apply(answer(managed(), 'running'), { type: 'agent_connected' });
const asleep = () => answer(apply(up(), desire('sleeping'), { type: 'agent_disconnected' }), 'stopped');

describe('a machine without a provider', () => {
  test('has the state of its agent, and is removed at once', () => {
    const machine = unmanaged();
    expect(machine).toMatchObject({ phase: 'placement_pending', reason: 'never_joined', revision: 1 });
    const connected = apply(machine, { type: 'enrolled' }, { type: 'agent_connected' });
    expect(connected).toMatchObject({
      phase: 'running',
      reason: 'agent_connected',
      revision: 2,
      lastTransitionAt: T0 + 1,
    });
    const away = apply(connected, { type: 'agent_disconnected' });
    expect(away).toMatchObject({ phase: 'sleeping', reason: 'agent_away', revision: 3, awaySince: T0 + 1 });
    const removed = apply(away, desire('destroyed'));
    expect(removed).toMatchObject({ phase: 'destroyed', reason: 'removed', desiredState: 'destroyed', revision: 4 });
    expect(removed).not.toHaveProperty('awaySince');
    expect(removed).not.toHaveProperty('operation');
  });

  test('cannot be put to sleep, and a wake changes nothing', () => {
    const away = apply(unmanaged(), { type: 'agent_connected' }, { type: 'agent_disconnected' });
    expect(transitionMachine(away, desire('sleeping'), T0)).toEqual({ ok: false, refusal: 'no_provider' });
    expect(transitionMachine(away, desire('running'), T0)).toEqual({ ok: false, refusal: 'unchanged' });
  });
});

describe('the table of contract-machines.md', () => {
  /** A machine for each cell, with the operation of the rule not begun. */
  const seen = (kind: ObservedState): Partial<Machine> =>
    kind === 'connected'
      ? { agent: 'connected', providerState: 'running' }
      : { agent: 'away', providerState: kind === 'up' ? 'running' : kind };
  const cells = DESIRED_STATES.flatMap((desired) =>
    Object.entries(RULES[desired]).map(([kind, rule]) => ({ desired, kind, rule })),
  );

  test.each(cells)('$desired × $kind', ({ desired, kind, rule }) => {
    const { operation: _none, ...base } = managed();
    const other = desired === 'running' ? 'sleeping' : 'running';
    const machine: Machine = {
      ...base,
      ...seen(kind as ObservedState),
      desiredState: other,
      phase: 'starting',
      reason: 'wake_requested',
    };
    // After the removal the agent counts as disconnected, so `connected` reads as `up`.
    const next = apply(machine, desire(desired));
    expect(next).toMatchObject({ phase: rule.phase, reason: rule.reason, desiredState: desired });
    expect(next.operation?.name).toBe(rule.operation);
  });
});

describe('a machine with a provider', () => {
  test('is accepted, created, joined, used, put to sleep, woken and removed', () => {
    const phases: string[] = [];
    const note = (machine: Machine) => {
      phases.push(`${machine.phase} ${machine.reason} ${machine.operation?.name ?? '-'}`);
      return machine;
    };
    let machine = note(managed());
    machine = note(apply(machine, { type: 'operation_begun', number: 1 }));
    machine = note(apply(machine, { type: 'operation_answered', number: 1, state: 'pending' }));
    machine = note(apply(machine, { type: 'agent_connected' }));
    machine = note(apply(machine, desire('sleeping')));
    machine = note(apply(machine, { type: 'agent_disconnected' }));
    machine = note(answer(machine, 'stopped'));
    machine = note(apply(machine, desire('running')));
    machine = note(answer(machine, 'running'));
    machine = note(apply(machine, { type: 'agent_connected' }));
    machine = note(apply(machine, desire('destroyed')));
    machine = note(answer(machine, 'absent'));
    expect(phases).toEqual([
      'accepted create_requested create',
      'placement_pending create_requested create',
      'starting waiting_for_agent describe',
      'running agent_connected -',
      'stopping sleep_requested sleep',
      'stopping sleep_requested sleep',
      'sleeping slept -',
      'starting wake_requested wake',
      'starting waiting_for_agent describe',
      'running agent_connected -',
      'destroying removed delete',
      'destroyed removed -',
    ]);
  });

  test('refuses its agent while it is put to sleep, and accepts one afterwards', () => {
    const stopping = apply(up(), desire('sleeping'), { type: 'agent_disconnected' });
    expect(transitionMachine(stopping, { type: 'agent_connected' }, T0)).toEqual({ ok: false, refusal: 'stopping' });
    const woken = apply(asleep(), { type: 'agent_connected' });
    expect(woken).toMatchObject({ phase: 'running', desiredState: 'running' });
  });

  test('a machine is woken only when its running sleep has ended', () => {
    const stopping = apply(up(), desire('sleeping'));
    const number = stopping.operation?.number ?? 0;
    const used = apply(
      stopping,
      { type: 'operation_begun', number },
      { type: 'agent_disconnected' },
      desire('running'),
    );
    expect(used).toMatchObject({
      phase: 'starting',
      reason: 'wake_requested',
      operation: { name: 'sleep', running: true },
    });
    expect(transitionMachine(used, { type: 'agent_connected' }, T0)).toEqual({ ok: false, refusal: 'stopping' });
    const slept = apply(used, { type: 'operation_answered', number, state: 'stopped' });
    expect(slept).toMatchObject({ phase: 'starting', operation: { name: 'wake', number: number + 1, running: false } });
  });

  test('keeps running if the sleep had not begun', () => {
    const used = apply(up(), desire('sleeping'), desire('running'));
    expect(used).toMatchObject({ phase: 'running', reason: 'agent_connected' });
    expect(used).not.toHaveProperty('operation');
  });

  test('says when it was put to sleep for idleness', () => {
    const idle = apply(up(), { type: 'desired', state: 'sleeping', sleepReason: 'autosleep' });
    expect(idle).toMatchObject({ phase: 'stopping', reason: 'autosleep' });
    expect(apply(idle, desire('running'))).not.toHaveProperty('sleepReason');
  });

  test('is retried after 1 s to 5 min, under the same number', () => {
    let machine = managed();
    const pauses = Array.from({ length: 12 }, () => {
      machine = fail(machine, true);
      return (machine.operation?.dueAt ?? 0) - (T0 + 1);
    });
    expect(pauses).toEqual([1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300].map((seconds) => seconds * 1000));
    expect(machine).toMatchObject({
      phase: 'placement_pending',
      lastError: 'no quota',
      operation: { number: 1, attempt: 12 },
    });
  });

  test('fails if a retry does not help, until a new request', () => {
    const failed = fail(apply(asleep(), desire('running')), false);
    expect(failed).toMatchObject({
      phase: 'failed',
      reason: 'provider_failed',
      lastError: 'no quota',
      failedForGood: true,
    });
    expect(failed).not.toHaveProperty('operation');
    expect(apply(failed, desire('running'))).toMatchObject({
      phase: 'starting',
      operation: { name: 'wake', attempt: 0 },
    });
    expect(apply(failed, { type: 'agent_connected' })).toMatchObject({ phase: 'running', failedForGood: false });
  });

  test('rejects an answer that its operation cannot have', () => {
    const lied = answer(managed(), 'absent');
    expect(lied).toMatchObject({ phase: 'placement_pending', lastError: 'the provider answered "absent" to create' });
    expect(lied.operation).toMatchObject({ name: 'create', number: 1, running: false });
    const awake = answer(apply(up(), desire('sleeping'), { type: 'agent_disconnected' }), 'running');
    expect(awake).toMatchObject({ phase: 'stopping', operation: { name: 'sleep' }, lastError: expect.any(String) });
  });

  test('that was started, and is said to be stopped, is started again after 1 s to 5 min, until its agent connects', () => {
    let machine = answer(apply(asleep(), desire('running')), 'running');
    const pauses = Array.from({ length: 11 }, () => {
      machine = answer(machine, 'stopped');
      expect(machine).toMatchObject({ phase: 'starting', operation: { name: 'wake' }, lastError: LOST('stopped') });
      const pauseMs = (machine.operation?.dueAt ?? 0) - (T0 + 1);
      machine = answer(machine, 'running');
      return pauseMs;
    });
    expect(pauses).toEqual([1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300].map((seconds) => seconds * 1000));
    const stopped = apply(machine, { type: 'agent_connected' }, { type: 'agent_disconnected' });
    expect(answer(apply(stopped, desire('sleeping')), 'stopped')).not.toHaveProperty('operation');
    machine = answer(apply(up(), { type: 'agent_disconnected' }, { type: 'changed', resize: false }), 'running');
    expect(answer(machine, 'stopped').operation).toMatchObject({ name: 'wake', dueAt: T0 + 1, restarts: 0 });
  });

  test('that was created, and is not found, is described for a minute before it is created again', () => {
    let machine = answer(managed(), 'running');
    for (let attempt = 1; attempt <= 5; attempt += 1) {
      machine = answer(machine, 'absent');
      expect(machine).toMatchObject({
        phase: 'starting',
        operation: { name: 'describe', number: 2, attempt },
        lastError: LOST('absent'),
      });
    }
    expect((machine.operation?.dueAt ?? 0) - (T0 + 1)).toBe(30_000);
    machine = answer(machine, 'absent');
    expect(machine).toMatchObject({ phase: 'accepted', operation: { name: 'create', dueAt: T0 + 1001, restarts: 1 } });
    expect(machine.lastError).toBe(LOST('absent'));
  });

  test('is deleted only if a create may have made it', () => {
    expect(apply(managed(), desire('destroyed'))).toMatchObject({ phase: 'destroyed' });
    const begun = apply(managed(), { type: 'operation_begun', number: 1 }, desire('destroyed'));
    expect(begun).toMatchObject({ phase: 'destroying', operation: { name: 'create', running: true } });
    const made = apply(begun, { type: 'operation_answered', number: 1, state: 'running' });
    expect(made).toMatchObject({ phase: 'destroying', operation: { name: 'delete', running: false } });
  });

  test('is forgotten by force, although its provider still has it', () => {
    const stuck = fail(apply(up(), desire('destroyed')), false);
    expect(stuck).toMatchObject({ phase: 'failed', desiredState: 'destroyed' });
    expect(apply(stuck, { type: 'forgotten' })).toMatchObject({ phase: 'destroyed', failedForGood: false });
  });

  test('is resized while it runs, and keeps running if that fails', () => {
    const resized = apply(up(), { type: 'changed', resize: true });
    expect(resized).toMatchObject({ phase: 'running', operation: { name: 'resize' }, revision: up().revision + 1 });
    expect(answer(resized, 'running')).toMatchObject({ phase: 'running', resizing: false });
    expect(fail(resized, false)).toMatchObject({ phase: 'running', resizing: false, lastError: 'no quota' });
  });

  test('the hook of a machine runs again under the same number after a crash', () => {
    const begun = apply(managed(), { type: 'operation_begun', number: 1 });
    const again = apply(begun, { type: 'operation_interrupted' });
    expect(again.operation).toEqual({
      number: 1,
      name: 'create',
      attempt: 1,
      running: false,
      dueAt: T0 + 1,
      restarts: 0,
    });
  });
});
