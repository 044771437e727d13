import { expect, test } from 'vitest';
import { machineReason } from '../../../src/core/decisions/machine-reason.ts';
import { MACHINE_PHASES, type Machine } from '../../../src/core/machines/machine.ts';

const T0 = 1_000_000_000;
const MINUTE = 60_000;
const CONNECTED = { agent: 'connected', phase: 'running', reason: 'agent_connected', lastTransitionAt: T0 } as Machine;
const AWAY = { ...CONNECTED, agent: 'away', phase: 'sleeping', reason: 'agent_away', awaySince: T0 } as Machine;
const NEVER = { ...CONNECTED, agent: 'never_joined', phase: 'placement_pending', reason: 'never_joined' } as Machine;
const PROVIDED = { ...AWAY, provider: 'p', autosleepSeconds: 600 } as Machine;

/** A machine with a provider. */
const provided = (phase: Machine['phase'], reason: Machine['reason'], more: Partial<Machine> = {}) =>
  ({ ...PROVIDED, phase, reason, ...more }) as Machine;
const why = (machine: Machine, now = T0 + 5 * MINUTE) => machineReason(machine, { now, lostAfterMs: 15 * MINUTE });

test.each([
  [CONNECTED, 'running: its agent is connected', 'Its agent disconnects.'],
  [
    { ...CONNECTED, provider: 'p', autosleepSeconds: 600 } as Machine,
    'running: its agent is connected',
    'It is put to sleep once it had no command and no client of a terminal for 10 minutes.',
  ],
  [NEVER, 'placement_pending: no agent has joined the machine yet', 'Its agent joins with a join token.'],
  [provided('accepted', 'create_requested'), 'accepted: its provider creates it', 'Its agent connects.'],
  [
    provided('starting', 'waiting_for_agent'),
    'starting: its provider has started it, and its agent has not connected yet',
    'Its agent connects.',
  ],
  [provided('starting', 'wake_requested'), 'starting: its provider wakes it', 'Its agent connects.'],
  [
    provided('stopping', 'sleep_requested'),
    'stopping: its provider puts it to sleep',
    'Its provider answers that it has stopped.',
  ],
  [
    provided('stopping', 'autosleep'),
    'stopping: it was idle, and its provider puts it to sleep',
    'Its provider answers that it has stopped.',
  ],
  [
    provided('sleeping', 'slept'),
    'sleeping: its provider has put it to sleep',
    'A command, a terminal or a request wakes it.',
  ],
  [provided('destroying', 'removed'), 'destroying: its provider deletes it', 'Its provider answers that it is gone.'],
  [
    provided('failed', 'provider_failed', { lastError: 'no quota' }),
    'failed: its provider failed (no quota)',
    'An administrator wakes it again or removes it.',
  ],
  [provided('destroyed', 'removed'), 'destroyed: it was removed', undefined],
])('%#', (machine, message, next) => {
  const reason = why(machine);
  expect(reason).toMatchObject({ message, since: T0 });
  expect(reason.next).toBe(next);
});

test.each(MACHINE_PHASES)('%s: the event that ends it, unless it is final', (phase) => {
  const { next } = why(provided(phase, 'create_requested'));
  expect(next).toEqual(phase === 'destroyed' ? undefined : expect.stringMatching(/^[A-Z].*\.$/));
});

test('an offline machine says when its commands are given up, or that they were', () => {
  expect(why(AWAY).message).toBe('sleeping: the machine was last seen 5 minutes ago');
  expect(why(AWAY).next).toContain('given up as agent_lost 10 minutes from now');
  expect(why(AWAY, T0 + 20 * MINUTE).next).toContain('were given up');
});

test('a machine that is being woken says when it is expected', () => {
  const waking = provided('starting', 'wake_requested', { expectedAt: T0 + MINUTE });
  expect(why(waking, T0).until).toBe(T0 + MINUTE);
  expect(why(waking, T0 + 2 * MINUTE)).not.toHaveProperty('until');
});

test('an operation that failed and is tried again says why, and when', () => {
  const operation = { number: 2, name: 'wake', attempt: 3, running: false, dueAt: T0 + 40_000, restarts: 0 } as const;
  const failing = provided('starting', 'wake_requested', { lastError: 'no quota', operation });
  expect(why(failing, T0)).toMatchObject({
    message: 'starting: its provider wakes it; the last attempt failed (no quota)',
    next: 'Its provider is called again 40 seconds from now.',
  });
  expect(why({ ...failing, operation: { ...operation, running: true } }, T0).next).toBe('Its agent connects.');
});
