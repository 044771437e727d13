import { expect, test, vi } from 'vitest';
import { CLOSE } from '../../../../src/core/protocol.ts';
import { Balance } from '../../../../src/server/control/cluster/balance.ts';

const log = { info: vi.fn(), warn: vi.fn() };

function balanceOf(p: { own: number; total: number; servers: number }) {
  const closeSome = vi.fn();
  const countConnections = vi.fn(async () => p.total);
  const sessions = { size: p.own, closeSome };
  return {
    closeSome,
    countConnections,
    balance: new Balance({ cluster: { countConnections }, sessions, log, servers: () => p.servers }),
  };
}

test('a server that has all agents sends some of them to the others', async () => {
  const { balance, closeSome } = balanceOf({ own: 100, total: 100, servers: 2 });
  await balance.look();
  expect(closeSome).toHaveBeenCalledExactlyOnceWith(2, CLOSE.restart, expect.any(String));
});

test('a server that has its share keeps it, and a single server does nothing', async () => {
  const even = balanceOf({ own: 50, total: 100, servers: 2 });
  await even.balance.look();
  expect(even.closeSome).not.toHaveBeenCalled();
  const alone = balanceOf({ own: 100, total: 100, servers: 1 });
  await alone.balance.look();
  expect(alone.countConnections).not.toHaveBeenCalled();
});
