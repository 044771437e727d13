import { describe, expect, test } from 'vitest';
import { Lane } from '../../../../src/server/control/agents/start-queue.ts';
import { AGENT_LIMITS } from '../../../../src/server/control/agents/limits.ts';
import { storedExecution } from '../../../helpers/stored-execution.ts';

function lane(p: { maxConcurrency?: number; inFlight?: string[]; lastNumber?: number } = {}) {
  const sent: number[] = [];
  const refused: number[] = [];
  const unsent = { bytes: 0 };
  const built = new Lane({
    maxConcurrency: 4,
    inFlight: [],
    lastNumber: 0,
    ...p,
    unsentBytes: () => unsent.bytes,
    outOfOrder: (execution) => refused.push(execution.dispatchNumber ?? 0),
  });
  const departure = (dispatchNumber: number) => ({
    execution: storedExecution({ executionId: `e${dispatchNumber}`, dispatchNumber }),
    send: () => sent.push(dispatchNumber),
  });
  return { lane: built, sent, refused, unsent, departure };
}

describe('order', () => {
  test('a start waits for those whose transaction was handed in before', () => {
    const { lane: one, sent, departure } = lane();
    const reservations = [one.reserve(1, 0), one.reserve(2, 0), one.reserve(1, 0)] as const;
    one.settle(reservations[2], [departure(4)]);
    one.settle(reservations[1], [departure(2), departure(3)]);
    expect(sent).toEqual([]);
    one.settle(reservations[0], [departure(1)]);
    expect(sent).toEqual([1, 2, 3, 4]);
  });

  test('a transaction that marked nothing holds up nobody', () => {
    const { lane: one, sent, departure } = lane();
    const [first, second] = [one.reserve(1, 0), one.reserve(1, 0)];
    one.settle(second, [departure(1)]);
    one.settle(first, []);
    expect(sent).toEqual([1]);
  });

  test('a number that is not above those before never leaves', () => {
    const { lane: one, sent, refused, departure } = lane({ lastNumber: 7 });
    one.settle(one.reserve(3, 0), [departure(7), departure(9), departure(8)]);
    expect(sent).toEqual([9]);
    expect(refused).toEqual([7, 8]);
  });

  test('nothing leaves once it is closed', () => {
    const { lane: one, sent, departure } = lane();
    const reservation = one.reserve(1, 0);
    one.close();
    one.settle(reservation, [departure(1)]);
    expect(sent).toEqual([]);
    expect(one.free).toBe(0);
  });
});

describe('slots', () => {
  test('are taken by what runs and what is being marked, and free again at the end', () => {
    const { lane: one, departure } = lane({ maxConcurrency: 3, inFlight: ['old'] });
    expect(one.free).toBe(2);
    const reservation = one.reserve(2, 0);
    expect(one.free).toBe(0);
    one.settle(reservation, [departure(1)]);
    expect(one.free).toBe(1);
    expect(one.finished('e1')).toBe(true);
    expect(one.finished('e1')).toBe(false);
    expect(one.finished('old')).toBe(true);
    expect(one.free).toBe(3);
  });

  test('are none for a machine that holds more than it may', () => {
    expect(lane({ maxConcurrency: 1, inFlight: ['a', 'b'] }).lane.free).toBe(0);
  });

  test('are none while too much waits to be sent, or is about to', () => {
    const { lane: one, unsent } = lane();
    unsent.bytes = AGENT_LIMITS.unsentHigh + 1;
    expect(one.free).toBe(0);
    unsent.bytes = 0;
    const reservation = one.reserve(1, AGENT_LIMITS.unsentHigh + 1);
    expect(one.free).toBe(0);
    one.settle(reservation, []);
    expect(one.free).toBe(4);
  });
});
