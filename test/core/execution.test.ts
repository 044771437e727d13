import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  EXECUTION_STATUSES,
  type ExecutionInput,
  type ExecutionState,
  type ExecutionStatus,
  isTerminal,
  transition,
} from '../../src/core/execution.ts';

const NOW = 5000;
const WAITING: ExecutionState = { status: 'queued', createdAt: 1000, expiresAt: 10_000 };
const STATES = {
  away: { ...WAITING, status: 'wake_in_progress' },
  waiting: WAITING,
  overdue: { ...WAITING, expiresAt: 4000 },
  dispatched: { ...WAITING, dispatchedTo: 'r1' },
  'dispatched, overdue': { ...WAITING, dispatchedTo: 'r1', expiresAt: 4000 },
  'dispatched, cancelled': { ...WAITING, dispatchedTo: 'r1', cancelRequestedAt: 3000 },
  running: { ...WAITING, status: 'running', dispatchedTo: 'r1', startedAt: 2000 },
  'running, cancelled': { ...WAITING, status: 'running', dispatchedTo: 'r1', startedAt: 2000, cancelRequestedAt: 3000 },
} satisfies Record<string, ExecutionState>;
type StateName = keyof typeof STATES;

const INPUTS = {
  machine_connected: { type: 'machine_connected' },
  dispatched: { type: 'dispatched', runnerInstance: 'r1' },
  cancel_requested: { type: 'cancel_requested' },
  started: { type: 'started' },
  ended: { type: 'ended', outcome: { status: 'succeeded', exitCode: 0 } },
  expired: { type: 'expired' },
  undelivered: { type: 'undelivered' },
  agent_lost: { type: 'agent_lost', reason: 'gone' },
  machine_removed: { type: 'machine_removed' },
  wake_failed: { type: 'wake_failed', reason: 'no quota' },
} satisfies Record<ExecutionInput['type'], ExecutionInput>;

/** The result for each state: the next status, `marked` if only a mark changes, or nothing. */
const TABLE: Record<StateName, Partial<Record<ExecutionInput['type'], ExecutionStatus | 'marked'>>> = {
  away: {
    machine_connected: 'queued',
    cancel_requested: 'cancelled',
    machine_removed: 'cancelled',
    wake_failed: 'failed',
  },
  waiting: { dispatched: 'marked', cancel_requested: 'cancelled', machine_removed: 'cancelled' },
  overdue: { dispatched: 'marked', cancel_requested: 'cancelled', expired: 'expired', machine_removed: 'cancelled' },
  dispatched: {
    cancel_requested: 'marked',
    started: 'running',
    ended: 'succeeded',
    agent_lost: 'failed',
    machine_removed: 'failed',
  },
  'dispatched, overdue': {
    cancel_requested: 'marked',
    started: 'running',
    ended: 'succeeded',
    undelivered: 'expired',
    agent_lost: 'failed',
    machine_removed: 'failed',
  },
  'dispatched, cancelled': {
    started: 'running',
    ended: 'succeeded',
    undelivered: 'cancelled',
    agent_lost: 'failed',
    machine_removed: 'failed',
  },
  running: { cancel_requested: 'marked', ended: 'succeeded', agent_lost: 'failed', machine_removed: 'failed' },
  'running, cancelled': { ended: 'succeeded', agent_lost: 'failed', machine_removed: 'failed' },
};

describe('the table', () => {
  const cells = Object.entries(STATES).flatMap(([name, state]) =>
    Object.values(INPUTS).map((input) => ({ name, state, input, type: input.type })),
  );
  test.each(cells)('$name + $type', ({ name, state, input }) => {
    const expected = TABLE[name as StateName][input.type];
    const result = transition<ExecutionState>(state, input, NOW);
    if (expected === undefined) {
      expect(result).toEqual({ ok: false, refusal: 'not_applicable' });
      return;
    }
    if (!result.ok) return expect.fail('refused');
    expect(result.changed).toBe(expected !== 'marked');
    expect(result.next.status).toBe(expected === 'marked' ? state.status : expected);
  });
});

test('times are those of the input', () => {
  const started = transition(STATES.dispatched, INPUTS.started, NOW);
  expect(started).toMatchObject({ ok: true, next: { startedAt: NOW } });
  const ended = transition<ExecutionState>(STATES.running, INPUTS.ended, NOW);
  expect(ended).toMatchObject({ ok: true, next: { startedAt: 2000, completedAt: NOW, exitCode: 0 } });
});

test('an end that is not a success has a code and a text', () => {
  for (const state of Object.values(STATES)) {
    for (const input of Object.values(INPUTS).filter(({ type }) => type !== 'ended')) {
      const result = transition<ExecutionState>(state, input, NOW);
      if (!result.ok || !isTerminal(result.next.status)) continue;
      expect(result.next.errorCode).toBeDefined();
      expect(result.next.errorMessage).not.toBe('');
    }
  }
});

test('statuses only move forward, ends are final, and the input is not changed, for any sequence of inputs', () => {
  const input = fc.constantFrom<ExecutionInput>(...Object.values(INPUTS));
  const start = fc.constantFrom<ExecutionState>(STATES.away, STATES.waiting);
  fc.assert(
    fc.property(start, fc.array(fc.tuple(input, fc.nat(20_000)), { maxLength: 30 }), (first, steps) => {
      let state: ExecutionState = first;
      for (const [step, now] of steps) {
        const before = structuredClone(state);
        const result = transition(state, step, now);
        expect(state).toEqual(before);
        if (!result.ok) {
          expect(result.refusal).toBe(isTerminal(state.status) ? 'terminal' : 'not_applicable');
          continue;
        }
        expect(isTerminal(state.status)).toBe(false);
        expect(result.changed).toBe(result.next.status !== state.status);
        expect(rank(result.next.status)).toBeGreaterThanOrEqual(rank(state.status));
        state = result.next;
      }
    }),
  );
});

function rank(status: ExecutionStatus): number {
  return isTerminal(status) ? 3 : EXECUTION_STATUSES.indexOf(status);
}
