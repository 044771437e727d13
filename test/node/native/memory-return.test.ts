import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { startMemoryReturn } from '../../../src/node/native/memory-return.ts';

const MB = 1024 * 1024;

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** A simulated process whose memory falls to `floor` when it returns memory to the system. */
function processOf(p: { resident: number; floor: number; busy?: number }) {
  const state = { busy: 0, ...p, returns: 0 };
  const memory = startMemoryReturn({
    resident: () => state.resident,
    busy: () => state.busy,
    giveBack: () => {
      state.returns += 1;
      state.resident = Math.min(state.resident, state.floor);
    },
    intervalMs: 1000,
  });
  return { state, memory, pass: () => vi.advanceTimersByTime(1000) };
}

test('a process that has grown and is idle returns memory once', () => {
  const { state, memory, pass } = processOf({ resident: 60 * MB, floor: 70 * MB });
  pass();
  state.resident = 200 * MB;
  pass();
  expect(state).toMatchObject({ returns: 1, resident: 70 * MB });
  pass();
  pass();
  expect(state.returns).toBe(1);
  state.resident = 100 * MB;
  pass();
  expect(state.returns).toBe(2);
  memory.stop();
});

test('memory in use is collected three times, and then counts as needed', () => {
  const { state, memory, pass } = processOf({ resident: 60 * MB, floor: 200 * MB });
  state.resident = 200 * MB;
  for (let count = 0; count < 10; count += 1) pass();
  expect(state.returns).toBe(3);
  state.resident = 230 * MB;
  pass();
  expect(state).toMatchObject({ returns: 4, resident: 200 * MB });
  memory.stop();
});

test('a busy process is not interrupted, nor is one that has hardly grown', () => {
  const { state, memory, pass } = processOf({ resident: 60 * MB, floor: 60 * MB });
  pass();
  state.busy = 0.5;
  state.resident = 200 * MB;
  pass();
  state.busy = 0;
  state.resident = 70 * MB;
  pass();
  expect(state.returns).toBe(0);
  state.resident = 200 * MB;
  pass();
  expect(state.returns).toBe(1);
  memory.stop();
  state.resident = 300 * MB;
  pass();
  expect(state.returns).toBe(1);
});

test.runIf(process.platform === 'linux')('the memory of a burst is returned to the system', () => {
  const source = fileURLToPath(new URL('../../../src/node/native/memory-return.ts', import.meta.url));
  // One of fifty buffers stays in use, so that the free memory is fragmented.
  const burst = `
    import { startMemoryReturn } from ${JSON.stringify(source)};
    startMemoryReturn({ intervalMs: 200 });
    const before = process.memoryUsage.rss();
    setTimeout(() => {
      let buffers = Array.from({ length: 3000 }, () => Buffer.alloc(60_000, 1));
      buffers = buffers.filter((_, index) => index % 50 === 0);
      const grown = process.memoryUsage.rss() - before;
      const timer = setInterval(() => {
        if (process.memoryUsage.rss() - before > grown / 2) return;
        clearInterval(timer);
        console.log(buffers.length, grown > 100_000_000);
      }, 20);
    }, 100);`;
  const said = execFileSync(process.execPath, ['--input-type=module', '-e', burst], { encoding: 'utf8' });
  expect(said.trim()).toBe('60 true');
});
