/** The sizes of a terminal that changes faster than they can be sent. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { TerminalSizes } from '../../../src/cli/exec/terminal-sizes.ts';
import { type ExecutionHandle, RefusedError, UnreachableError } from '../../../src/client/main.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const refused = (status: number, error_code?: string): RefusedError =>
  new RefusedError({ status, headers: new Headers() }, { ...(error_code && { error_code }) }, '/resize', 'http://a');

/** Sizes whose requests the test answers. */
function sizes() {
  const widths: number[] = [];
  const answers: PromiseWithResolvers<void>[] = [];
  const resize = async ({ width }: { width: number }, { signal }: { signal?: AbortSignal } = {}): Promise<never> => {
    const answer = Promise.withResolvers<void>();
    widths.push(width);
    answers.push(answer);
    if (signal?.aborted) answer.reject(signal.reason);
    signal?.addEventListener('abort', () => answer.reject(signal.reason));
    return answer.promise as Promise<never>;
  };
  const sender = new TerminalSizes({ resize } as Pick<ExecutionHandle, 'resize'>);
  const set = (...all: number[]): void => {
    for (const width of all) sender.set({ width, height: 24 });
  };
  return { sender, widths, answers, set };
}

test('one size is sent at a time, and the last one at the end', async () => {
  const { widths, answers, set } = sizes();
  set(80, 81, 82, 83, 84);
  expect(widths).toEqual([80]);
  for (let at = 0; at < 3; at += 1) {
    answers[at]?.resolve();
    await vi.advanceTimersByTimeAsync(0);
  }
  expect(widths).toEqual([80, 81, 84]);
});

test('two sizes in a row, which make a full-screen program draw its screen, both arrive', async () => {
  const { widths, answers, set } = sizes();
  set(80);
  set(79, 80);
  answers[0]?.resolve();
  await vi.advanceTimersByTimeAsync(0);
  answers[1]?.resolve();
  await vi.advanceTimersByTimeAsync(0);
  expect(widths).toEqual([80, 79, 80]);
});

test('a size is sent again if the server cannot be reached or the machine is offline, and not over a newer one', async () => {
  const { widths, answers, set } = sizes();
  set(80);
  answers[0]?.reject(new UnreachableError('http://a', { cause: 'cut' }));
  await vi.advanceTimersByTimeAsync(500);
  answers[1]?.reject(refused(409, 'INVALID_STATE'));
  await vi.advanceTimersByTimeAsync(500);
  expect(widths).toEqual([80, 80, 80]);
  set(81);
  answers[2]?.reject(new UnreachableError('http://a', { cause: 'cut' }));
  await vi.advanceTimersByTimeAsync(500);
  expect(widths).toEqual([80, 80, 80, 81]);
});

test('a size that is not answered is sent again after 5 s', async () => {
  vi.useRealTimers();
  const timeout = vi.spyOn(AbortSignal, 'timeout').mockReturnValueOnce(AbortSignal.abort(new Error('5 s')));
  const { sender, widths, set } = sizes();
  set(80);
  expect(timeout).toHaveBeenCalledWith(5000);
  await vi.waitFor(() => expect(widths).toEqual([80, 80]));
  sender.dispose();
  timeout.mockRestore();
});

test('a size that is refused, and sizes after the end, are not sent again', async () => {
  const { sender, widths, answers, set } = sizes();
  set(80);
  answers[0]?.reject(refused(404));
  await vi.advanceTimersByTimeAsync(5000);
  expect(widths).toEqual([80]);
  set(81);
  sender.dispose();
  await vi.advanceTimersByTimeAsync(5000);
  expect(widths).toEqual([80, 81]);
});
