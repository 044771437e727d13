import { expect, test } from 'vitest';
import { AGENT_LIMITS } from '../../../../src/server/control/agents/connection/limits.ts';
import type { Store } from '../../../../src/store/store.ts';
import { TestPlane } from '../../../helpers/control-plane.ts';
import { ScriptedAgent } from '../../../helpers/scripted-agent.ts';

const AGENTS = 300;

test('300 agents that connect at once are admitted a few at a time, and each gets its work (fault 17)', async () => {
  let inside = 0;
  let most = 0;
  const wrap = (store: Store): Store => ({
    ...store,
    machineConnected: async (p) => {
      inside += 1;
      most = Math.max(most, inside);
      return store.machineConnected(p).finally(() => {
        inside -= 1;
      });
    },
  });
  const plane = await TestPlane.start({ wrap });
  const names = Array.from({ length: AGENTS }, (_, index) => `dm-${index}`);
  const credentials = await Promise.all(names.map((name) => plane.machine(name)));
  const created = await Promise.all(names.map((machineId) => plane.create({ machineId })));
  const agents = await Promise.all(credentials.map((credential) => ScriptedAgent.open(plane.url, credential)));
  for (const agent of agents) agent.hello();
  await Promise.all(agents.map((agent) => agent.runNext()));
  const ended = await Promise.all(created.map((execution) => plane.end(execution)));
  expect(ended.every((execution) => execution.status === 'succeeded')).toBe(true);
  expect(plane.control.counts().links).toBe(AGENTS);
  expect(most).toBeLessThanOrEqual(AGENT_LIMITS.reconciling);
  expect(most).toBeGreaterThan(1);
}, 60_000);
