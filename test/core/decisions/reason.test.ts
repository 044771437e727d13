import { describe, expect, test } from 'vitest';
import { executionReason } from '../../../src/core/decisions/reason.ts';
import { EXECUTION_STATUSES } from '../../../src/core/execution-status.ts';
import type { Machine } from '../../../src/core/machines/machine.ts';
import { storedExecution } from '../../helpers/stored-execution.ts';

const T0 = 1_000_000_000;
const MINUTE = 60_000;
const CONNECTED = { agent: 'connected', phase: 'running', reason: 'agent_connected', lastTransitionAt: T0 } as Machine;
const AWAY = { ...CONNECTED, agent: 'away', phase: 'sleeping', reason: 'agent_away', awaySince: T0 } as Machine;
const NEVER = { ...CONNECTED, agent: 'never_joined', phase: 'placement_pending', reason: 'never_joined' } as Machine;

const CREATED = { ...NEVER, provider: 'p', reason: 'create_requested' } as Machine;

const at = (now: number, machine: Machine | undefined) => ({ machine, now, lostAfterMs: 15 * MINUTE });
const execution = (more: Parameters<typeof storedExecution>[0]) =>
  storedExecution({ createdAt: T0, expiresAt: T0 + 60 * MINUTE, ...more });

describe('why an execution is in its state', () => {
  test.each([
    [{ busy: 64, ahead: 2 }, 'queued: all 64 slots of the machine are busy; position 3'],
    [{ busy: 1, ahead: 0 }, 'queued: the only slot of the machine is busy; position 1'],
    [{ busy: 0, ahead: 0 }, 'queued: position 1'],
  ])('queued behind %j', (place, message) => {
    const reason = executionReason(execution({ status: 'queued' }), { ...at(T0, CONNECTED), place });
    expect(reason).toMatchObject({ message, since: T0, until: T0 + 60 * MINUTE, next: expect.stringMatching(/\.$/) });
  });

  test('queued, and sent to the agent', () => {
    const { message } = executionReason(execution({ status: 'queued', dispatchedTo: 'r' }), at(T0, CONNECTED));
    expect(message).toBe('queued: it was sent to the agent, which has not started it yet');
  });

  test.each([
    [AWAY, 'waiting: the machine was last seen 4 minutes ago'],
    [NEVER, 'waiting: no agent has joined the machine yet'],
    [{ ...AWAY, reason: 'slept' } as Machine, 'waiting: the machine sleeps'],
    [{ ...AWAY, phase: 'starting' } as Machine, 'waiting: the machine is being started'],
    [{ ...AWAY, phase: 'failed', lastError: 'no quota' } as Machine, 'waiting: its provider failed (no quota)'],
    [CREATED, 'waiting: the machine is being created'],
    [undefined, 'waiting: the machine is unknown'],
  ])('waiting for its machine', (machine, message) => {
    const reason = executionReason(execution({ status: 'wake_in_progress' }), at(T0 + 4 * MINUTE, machine));
    expect(reason).toMatchObject({ message, since: T0, until: T0 + 60 * MINUTE });
  });

  test.each([
    [0, '0 seconds'],
    [1000, '1 second'],
    [119_000, '119 seconds'],
    [120_000, '2 minutes'],
    [3 * 60 * MINUTE, '3 hours'],
    [50 * 60 * MINUTE, '2 days'],
  ])('last seen %i ms ago', (ms, words) => {
    const { message } = executionReason(execution({ status: 'wake_in_progress' }), at(T0 + ms, AWAY));
    expect(message).toBe(`waiting: the machine was last seen ${words} ago`);
  });

  test.each([
    [NEVER, 'It starts when an agent joins the machine with a join token.'],
    [CREATED, 'It starts when the agent of the machine connects.'],
    [AWAY, 'It starts when the agent of the machine connects.'],
    [{ ...AWAY, phase: 'failed' } as Machine, 'It starts when an administrator has woken the machine again.'],
  ])('what starts it then', (machine, next) => {
    expect(executionReason(execution({ status: 'wake_in_progress' }), at(T0, machine)).next).toBe(next);
  });

  test('running: until its timeout, if it has one', () => {
    const started = { status: 'running', startedAt: T0 + 5 } as const;
    const plain = executionReason(execution(started), at(T0, CONNECTED));
    expect(plain).toMatchObject({ message: 'running: the command has not ended', since: T0 + 5 });
    expect(plain).not.toHaveProperty('until');
    const limited = executionReason(execution({ ...started, timeoutMs: 10 }), at(T0, CONNECTED));
    expect(limited.until).toBe(T0 + 15);
  });

  test('running on a machine that is offline: until it is given up', () => {
    const running = execution({ status: 'running', isTerminal: true });
    expect(executionReason(running, at(T0 + 2 * MINUTE, AWAY))).toMatchObject({
      message: 'ready: the machine was last seen 2 minutes ago; the shell keeps running there',
      since: T0,
      until: T0 + 15 * MINUTE,
    });
  });

  test('being cancelled', () => {
    const cancelled = execution({ status: 'running', cancelRequestedAt: T0 + 7 });
    expect(executionReason(cancelled, at(T0 + 8, CONNECTED))).toMatchObject({
      message: 'cancelling: its processes are being ended',
      since: T0 + 7,
      next: 'They end, or are killed after a grace period.',
    });
    expect(executionReason(cancelled, at(T0 + 2 * MINUTE, AWAY))).toEqual({
      message: 'cancelling: the machine was last seen 2 minutes ago, and its agent has to end the command',
      since: T0,
      until: T0 + 15 * MINUTE,
      next: 'The agent connects and ends it; otherwise it ends as agent_lost.',
    });
    const sent = execution({ status: 'queued', dispatchedTo: 'r', cancelRequestedAt: T0 + 7 });
    expect(executionReason(sent, at(T0 + 8, CONNECTED))).toEqual({
      message: 'cancelling: it was sent to the agent, whose answer is awaited',
      since: T0 + 7,
      next: 'The agent answers that it has ended.',
    });
  });

  test.each(EXECUTION_STATUSES)('%s: the event that ends it, unless it is final', (status) => {
    const isFinal = ['succeeded', 'failed', 'cancelled', 'expired'].includes(status);
    for (const isShell of [false, true]) {
      const one = execution({ status, ...(isShell && { isTerminal: true }) });
      const { next } = executionReason(one, at(T0, CONNECTED));
      expect(next).toEqual(isFinal ? undefined : expect.stringMatching(/^[A-Z].*\.$/));
    }
  });

  test('ended: how it ended, and no next step', () => {
    const failed = { status: 'failed', errorMessage: 'The command exited with code 3.', completedAt: T0 + 9 } as const;
    expect(executionReason(execution(failed), at(T0, CONNECTED))).toEqual({
      message: 'failed: the command exited with code 3',
      since: T0 + 9,
    });
    const succeeded = execution({ status: 'succeeded', completedAt: T0 + 9 });
    expect(executionReason(succeeded, at(T0, undefined)).message).toBe('succeeded: the command exited with code 0');
  });
});

describe('why a terminal is in its state', () => {
  const why = (more: Parameters<typeof storedExecution>[0]) =>
    executionReason(execution({ isTerminal: true, ...more }), at(T0 + MINUTE, CONNECTED)).message;

  test('ready, with the word of its status', () => {
    expect(why({ status: 'running', startedAt: T0 })).toBe('ready: the shell has not ended');
  });

  test.each([
    [{ status: 'succeeded', exitCode: 0 }, 'closed: the shell exited with code 0'],
    [{ status: 'failed', errorCode: 'nonzero_exit', exitCode: 4 }, 'closed: the shell exited with code 4'],
    [{ status: 'failed', errorCode: 'signaled', signal: 9 }, 'closed: the shell was ended by signal 9'],
    [{ status: 'cancelled', errorCode: 'cancelled' }, 'closed: it was closed before its shell started'],
    [
      { status: 'cancelled', errorCode: 'cancelled', startedAt: T0 },
      'closed: a request closed it, or it had no client for too long',
    ],
    [{ status: 'failed', errorCode: 'machine_removed', startedAt: T0 }, 'closed: the machine was removed'],
    [
      { status: 'failed', errorCode: 'spawn_failed', errorMessage: 'The machine has no free pseudo-terminal.' },
      'failed: the machine has no free pseudo-terminal',
    ],
    [{ status: 'expired', errorMessage: 'It did not start in time.' }, 'expired: it did not start in time'],
  ] as const)('%j', (end, message) => {
    expect(why(end)).toBe(message);
  });
});
