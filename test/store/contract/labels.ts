/** Labels of machines: their origin, and selection by them. */
import { describe, expect, it } from 'vitest';
import { type Labels, type LabelSelector, parseSelector } from '../../../src/core/machines/labels.ts';
import { labelsOf } from '../../../src/core/machines/machine.ts';
import { FACTS, type OpenStore, REMOVE, RUNNER, T0, useStore } from './fixture.ts';

export function describeLabels(open: OpenStore): void {
  describe('labels', () => {
    const bench = useStore(open);
    const place = (machineId: string, labels?: Labels) =>
      bench().store.placeMachine({
        machine: { machineId, facts: FACTS, autosleepSeconds: 0, ...(labels === undefined ? {} : { labels }) },
        now: T0,
      });
    const connect = (machineId: string, labels: Labels) => {
      const host = { hostname: 'h', os: 'linux', arch: 'x64', agentVersion: '1.0.0' };
      const agent = { machineId, runnerInstance: RUNNER, bootId: 'b', facts: FACTS };
      return bench().store.machineConnected({ ...agent, host, labels, now: T0 });
    };
    const select = async (...texts: string[]) => {
      const labels = texts.map((text) => parseSelector(text) as LabelSelector);
      const { items } = await bench().store.listMachines({ labels, limit: 99 });
      return items.map(({ machineId }) => machineId);
    };
    const configure = (machineId: string, labels: Labels) =>
      bench().store.changeMachine({
        machineId,
        request: { type: 'configure', labels },
        capabilities: new Map(),
        now: T0,
      });

    it('select machines by key, by value, and by several of them, oldest first', async () => {
      await place('dm-b', { role: 'web', site: 'berlin' });
      await place('dm-a', { role: 'web' });
      await place('dm-c', { role: 'db', site: 'berlin' });
      await place('dm-d');
      expect(await select('role=web')).toEqual(['dm-b', 'dm-a']);
      expect(await select('role')).toEqual(['dm-b', 'dm-a', 'dm-c']);
      expect(await select('role=web', 'site=berlin')).toEqual(['dm-b']);
      expect(await select('role=web', 'site=paris')).toEqual([]);
    });

    it('select machines in pages, and only among the requested ones', async () => {
      for (const machineId of ['dm-a', 'dm-b', 'dm-c']) await place(machineId, { role: 'web' });
      const labels = [{ key: 'role', value: 'web' }];
      const first = await bench().store.listMachines({ labels, limit: 2 });
      expect(first.items).toHaveLength(2);
      const rest = await bench().store.listMachines({ labels, limit: 2, after: first.next ?? 0 });
      expect(rest.items).toMatchObject([{ machineId: 'dm-c' }]);
      expect(rest).not.toHaveProperty('next');
      const some = await bench().store.listMachines({ labels, machineIds: ['dm-b', 'dm-one'], limit: 9 });
      expect(some.items).toMatchObject([{ machineId: 'dm-b' }]);
    });

    it('of the agent hold until it changes them, and those of the API override them and stay', async () => {
      await place('dm-a', { role: 'web' });
      await connect('dm-a', { role: 'db', site: 'berlin' });
      const machine = await bench().store.getMachine({ machineId: 'dm-a' });
      expect(machine && labelsOf(machine)).toEqual({ role: 'web', site: 'berlin' });
      expect(machine?.host).toEqual({ hostname: 'h', os: 'linux', arch: 'x64', agentVersion: '1.0.0' });
      await connect('dm-a', { site: 'paris' });
      expect([await select('site=berlin'), await select('site=paris'), await select('role=web')]).toEqual([
        [],
        ['dm-a'],
        ['dm-a'],
      ]);
      expect(await configure('dm-a', {})).toMatchObject({ outcome: 'changed' });
      expect(await select('role')).toEqual([]);
      expect(await configure('dm-a', {})).toMatchObject({ outcome: 'unchanged' });
    });

    it('are deleted with their machine', async () => {
      await place('dm-a', { role: 'web' });
      await bench().store.changeMachine({ ...REMOVE, machineId: 'dm-a', now: T0 });
      expect(await select('role')).toEqual([]);
    });
  });
}
