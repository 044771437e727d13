import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { createCacheRelease } from '../../../../src/store/sqlite/file/cache-release.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

test('the cache is freed once after each burst of commits, and not between them', () => {
  const pragma = vi.fn();
  const release = createCacheRelease({ pragma });
  for (let second = 0; second < 30; second += 1) {
    release.idle();
    vi.advanceTimersByTime(1000);
  }
  expect(pragma).not.toHaveBeenCalled();
  vi.advanceTimersByTime(60_000);
  expect(pragma.mock.calls).toEqual([['shrink_memory']]);
  release.idle();
  vi.advanceTimersByTime(60_000);
  expect(pragma).toHaveBeenCalledTimes(2);
  release.idle();
  release.close();
  vi.advanceTimersByTime(60_000);
  expect(pragma).toHaveBeenCalledTimes(2);
});
