/** The first report of an execution waits for a second one, for a moment. A command that ends at once leaves no timer behind. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { ExecutionLog } from '../../../src/agent/runner/journal/execution-log.ts';
import { Outbox } from '../../../src/agent/runner/outbox.ts';
import { REPORT_KIND } from '../../../src/core/report.ts';

const WINDOWS = { windowBytes: 1 << 20, executionWindowBytes: 1 << 20 };
const sent: string[][] = [];
let outbox: Outbox;

beforeEach(() => {
  vi.useFakeTimers();
  outbox = new Outbox({
    read: (log, number) => Buffer.from(`${log.executionId} ${number}`),
    unreadable: () => {},
    send: (records) => sent.push(records.map(String)) > 0,
  });
  outbox.restart(WINDOWS, []);
});

afterEach(() => {
  outbox.close();
  sent.splice(0);
  vi.useRealTimers();
});

/** Offers reports of these kinds, all of which were written in one turn. */
function offer(log: ExecutionLog, ...kinds: ('started' | 'stdout' | 'ended')[]): void {
  for (const kind of kinds) {
    log.reported += 1;
    log.wrote(log.reported, REPORT_KIND[kind], Buffer.from('{}'), 0, 10);
    outbox.offer(log);
  }
  outbox.sendMore();
}

test('the start and the end of a turn are one message, and set no timer', () => {
  offer(new ExecutionLog('a', 1), 'started', 'ended');
  expect(sent).toEqual([['a 1', 'a 2']]);
  expect(vi.getTimerCount()).toBe(0);
});

test('a start alone is sent after a moment, together with the other starts of that moment', () => {
  offer(new ExecutionLog('a', 1), 'started');
  offer(new ExecutionLog('b', 2), 'started');
  expect(sent).toEqual([]);
  vi.runAllTimers();
  expect(sent).toEqual([['a 1', 'b 1']]);
});

test('a second report within that moment takes the first one along', () => {
  const log = new ExecutionLog('a', 1);
  offer(log, 'started');
  offer(log, 'stdout');
  expect(sent).toEqual([['a 1', 'a 2']]);
  expect(vi.getTimerCount()).toBe(0);
});

test('nothing is sent any more once the server is disconnected', () => {
  offer(new ExecutionLog('a', 1), 'started');
  outbox.close();
  vi.runAllTimers();
  expect(sent).toEqual([]);
});
