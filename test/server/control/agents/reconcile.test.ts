import { describe, expect, test } from 'vitest';
import type { Held } from '../../../../src/core/protocol.ts';
import { reconcile } from '../../../../src/server/control/agents/reconcile.ts';
import { storedExecution } from '../../../helpers/stored-execution.ts';

const HERE = 'runner-1';
const LAST = 5;

function hello(held: Held[]) {
  return { runner_instance: HERE, last_dispatch_number: LAST, held };
}

type Fate = 'acked' | 'lost' | 'undelivered';

/** All combinations of the states of a dispatched execution in the store and in the agent. */
const CASES: { dispatchedTo: string; number: number; held: Held['state'] | undefined; cancel: boolean; fate: Fate }[] =
  [HERE, 'runner-0'].flatMap((dispatchedTo) =>
    [LAST - 1, LAST, LAST + 1].flatMap((number) =>
      ([undefined, 'waiting', 'running', 'ended'] as const).flatMap((held) =>
        [false, true].map((cancel) => {
          const arrived = dispatchedTo !== HERE || number <= LAST;
          const fate: Fate = held !== undefined ? 'acked' : arrived ? 'lost' : 'undelivered';
          return { dispatchedTo, number, held, cancel, fate };
        }),
      ),
    ),
  );

describe('one dispatched execution', () => {
  test.each(CASES)(
    'that was dispatched to $dispatchedTo under $number, held: $held, cancel: $cancel → $fate',
    (one) => {
      const execution = storedExecution({
        dispatchedTo: one.dispatchedTo,
        dispatchNumber: one.number,
        reported: 3,
        ...(one.cancel && { cancelRequestedAt: 1 }),
      });
      const { executionId } = execution;
      const held = one.held === undefined ? [] : [{ execution_id: executionId, state: one.held, reported: 9 }];
      const plan = reconcile(hello(held), [execution]);
      expect(plan.acks).toEqual(one.fate === 'acked' ? [[executionId, 3]] : []);
      expect(plan.held).toEqual(one.fate === 'acked' ? [execution] : []);
      expect(plan.lost.map((lost) => lost.execution)).toEqual(one.fate === 'lost' ? [execution] : []);
      expect(plan.undelivered).toEqual(one.fate === 'undelivered' ? [execution] : []);
      expect(plan.forget).toEqual([]);
      const told = one.cancel && (one.held === 'waiting' || one.held === 'running');
      expect(plan.cancel).toEqual(told ? [executionId] : []);
    },
  );
});

test('executions that the agent holds and the store has ended are forgotten, each once', () => {
  const held: Held[] = ['a', 'b', 'a'].map((id) => ({ execution_id: id, state: 'running', reported: 1 }));
  expect(reconcile(hello(held), []).forget).toEqual(['a', 'b']);
});

test('starts that never arrived keep the order of their numbers', () => {
  const dispatched = [6, 7, 9].map((number) =>
    storedExecution({ executionId: `e${number}`, dispatchedTo: HERE, dispatchNumber: number }),
  );
  expect(reconcile(hello([]), dispatched).undelivered.map((one) => one.dispatchNumber)).toEqual([6, 7, 9]);
});
