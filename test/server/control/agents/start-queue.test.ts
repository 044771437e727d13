import { describe, expect, test } from 'vitest';
import { type PendingStart, StartQueue } from '../../../../src/server/control/agents/start-queue.ts';
import { AGENT_LIMITS } from '../../../../src/server/control/agents/connection/limits.ts';
import { storedExecution } from '../../../helpers/stored-execution.ts';

function startQueue(p: { maxConcurrency?: number; inFlight?: string[]; lastNumber?: number } = {}) {
  const sent: number[] = [];
  const refused: number[] = [];
  const unsent = { bytes: 0 };
  const starts = new StartQueue({
    unsentBytes: () => unsent.bytes,
    send: ({ execution }) => sent.push(execution.dispatchNumber ?? 0),
    refuse: (execution) => refused.push(execution.dispatchNumber ?? 0),
  });
  starts.open({ maxConcurrency: 4, inFlight: [], lastNumber: 0, ...p });
  const start = (dispatchNumber: number): PendingStart => ({
    execution: storedExecution({ executionId: `e${dispatchNumber}`, dispatchNumber }),
    openInput: () => ({ env: {}, stdin: Buffer.alloc(0) }),
  });
  return { starts, sent, refused, unsent, start };
}

describe('order', () => {
  test('a start waits for those whose transaction began before', () => {
    const { starts, sent, start } = startQueue();
    const reservations = [starts.reserve(1, 0), starts.reserve(2, 0), starts.reserve(1, 0)] as const;
    starts.commit(reservations[2], [start(4)]);
    starts.commit(reservations[1], [start(2), start(3)]);
    expect(sent).toEqual([]);
    starts.commit(reservations[0], [start(1)]);
    expect(sent).toEqual([1, 2, 3, 4]);
  });

  test('a transaction that marked nothing delays no other', () => {
    const { starts, sent, start } = startQueue();
    const [first, second] = [starts.reserve(1, 0), starts.reserve(1, 0)];
    starts.commit(second, [start(1)]);
    starts.commit(first, []);
    expect(sent).toEqual([1]);
  });

  test('a number that is not above the earlier ones is never sent', () => {
    const { starts, sent, refused, start } = startQueue({ lastNumber: 7 });
    starts.commit(starts.reserve(3, 0), [start(7), start(9), start(8)]);
    expect(sent).toEqual([9]);
    expect(refused).toEqual([7, 8]);
  });

  test('nothing is sent once the queue is closed', () => {
    const { starts, sent, start } = startQueue();
    const reservation = starts.reserve(1, 0);
    starts.close();
    starts.commit(reservation, [start(1)]);
    expect(sent).toEqual([]);
    expect(starts.free).toBe(0);
  });
});

describe('slots', () => {
  test('running executions and executions that are being marked take slots, and free them at the end', () => {
    const { starts, start } = startQueue({ maxConcurrency: 3, inFlight: ['old'] });
    expect(starts.free).toBe(2);
    const reservation = starts.reserve(2, 0);
    expect(starts.free).toBe(0);
    starts.commit(reservation, [start(1)]);
    expect(starts.free).toBe(1);
    expect(starts.finished('e1')).toBe(true);
    expect(starts.finished('e1')).toBe(false);
    expect(starts.finished('old')).toBe(true);
    expect(starts.free).toBe(3);
  });

  test('a machine that holds more than it may has no free slot', () => {
    expect(startQueue({ maxConcurrency: 1, inFlight: ['a', 'b'] }).starts.free).toBe(0);
  });

  test('there is no free slot while too many bytes are unsent or about to be', () => {
    const { starts, unsent } = startQueue();
    unsent.bytes = AGENT_LIMITS.unsentHigh + 1;
    expect(starts.free).toBe(0);
    unsent.bytes = 0;
    const reservation = starts.reserve(1, AGENT_LIMITS.unsentHigh + 1);
    expect(starts.free).toBe(0);
    starts.commit(reservation, []);
    expect(starts.free).toBe(4);
  });
});
