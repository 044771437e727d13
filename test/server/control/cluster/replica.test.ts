import { expect, onTestFinished, test, vi } from 'vitest';
import { ClusterClock, Replica } from '../../../../src/server/control/cluster/replica.ts';

const HOUR_MS = 3_600_000;

test('the clock of the cluster does not follow the clock of the host when that is set', async () => {
  const databaseNow = Date.now() + 5 * HOUR_MS;
  const clock = new ClusterClock();
  const beat = { outcome: 'alive', live: 1, isAlone: true, others: [] } as const;
  const replica = new Replica({
    cluster: {
      heartbeat: async () => ({ ...beat, clockOffsetMs: databaseNow - performance.now() }),
      leave: async () => undefined,
    },
    clock,
    log: { warn: () => undefined },
    address: () => undefined,
    others: () => undefined,
    reaped: () => undefined,
    cutOff: () => undefined,
  });
  await replica.start();
  onTestFinished(() => replica.stop());
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() - HOUR_MS });
  onTestFinished(() => void vi.useRealTimers());
  expect(clock.now() - databaseNow).toBeGreaterThanOrEqual(-1);
  expect(clock.now() - databaseNow).toBeLessThan(HOUR_MS / 2);
});
