/** The output limits of a command: when they apply, that they only rise, and what happens past them. */
import { expect, test } from 'vitest';
import type { OutputLimit } from '../../../../src/core/protocol.ts';
import { OutputLimits } from '../../../../src/agent/runner/executions/output-limits.ts';

const CAP_BYTES = 1000;

const limit = (pastLimit: 'wait' | 'discard', stdout: number, stderr: number): OutputLimit => ({
  type: 'output_limit',
  execution_id: 'ex-1',
  stdout,
  stderr,
  past_limit: pastLimit,
});

/** Limits, and the calls that they make. */
function limits() {
  const calls: unknown[] = [];
  const started = {
    output: { cap: (stream: string, bytes: number) => calls.push([stream, bytes]) },
    pause: { raiseLimit: (bytes: object) => calls.push(bytes), liftLimit: () => calls.push('lifted') },
    capBytes: CAP_BYTES,
  };
  const own = new OutputLimits();
  return { calls, raise: (next: OutputLimit) => own.raise(next), start: () => own.applyTo(started) };
}

test('a limit that is set before the start applies from the start on', () => {
  const { calls, raise, start } = limits();
  raise(limit('wait', 10, 20));
  expect(calls).toEqual([]);
  start();
  expect(calls).toEqual([{ stdout: 10, stderr: 20 }]);
});

test('without a limit a start changes nothing', () => {
  const { calls, start } = limits();
  start();
  expect(calls).toEqual([]);
});

test('limits only rise, each stream for itself', () => {
  const { calls, raise, start } = limits();
  start();
  raise(limit('wait', 10, 20));
  raise(limit('wait', 5, 30));
  expect(calls.at(-1)).toEqual({ stdout: 10, stderr: 30 });
});

test('past a final limit output is discarded, and the command does not wait any more', () => {
  const { calls, raise, start } = limits();
  start();
  raise(limit('discard', 10, 5000));
  expect(calls).toEqual([['stdout', 10], ['stderr', CAP_BYTES], 'lifted']);
});

test('a limit at which the command waits has no effect after a final one', () => {
  const { calls, raise, start } = limits();
  raise(limit('discard', 10, 20));
  raise(limit('wait', 500, 500));
  start();
  expect(calls).toEqual([['stdout', 10], ['stderr', 20], 'lifted']);
});
