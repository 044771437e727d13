/** Names of machines. */
import { describe, expect, it } from 'vitest';
import { FACTS, MACHINE, type OpenStore, REMOVE, T0, useStore } from './fixture.ts';

const hash = (name: string) => Buffer.from(name.padEnd(32, '.'));

export function describeNames(open: OpenStore): void {
  describe('names of machines', () => {
    const bench = useStore(open);
    const place = (machineId: string, name: string) =>
      bench().store.placeMachine({ machine: { machineId, name, facts: FACTS, autosleepSeconds: 0 }, now: T0 });
    const rename = (machineId: string, name: string) =>
      bench().store.changeMachine({
        machineId,
        request: { type: 'configure', name },
        capabilities: new Map(),
        now: T0 + 1,
      });
    const remove = (machineId: string) => bench().store.changeMachine({ ...REMOVE, machineId, now: T0 + 2 });
    const enrol = async (machineId: string, name: string, tokenFor?: string) => {
      const token = { joinTokenId: machineId, reusable: false, createdAt: T0, expiresAt: T0 + 1000 };
      const bound = tokenFor === undefined ? token : { ...token, machineId: tokenFor };
      await bench().store.createJoinToken({ token: bound, tokenHash: hash(machineId), now: T0 });
      const request = { tokenHash: hash(machineId), freshMachineId: machineId, credentialHash: hash(`c-${machineId}`) };
      return bench().store.enrol({ ...request, name, now: T0 });
    };
    const named = async (name: string, machineIds?: readonly string[]) => {
      const limited = machineIds === undefined ? {} : { machineIds };
      const { items } = await bench().store.listMachines({ name, limit: 10, ...limited });
      return items.map(({ machineId }) => machineId);
    };

    it('find a machine, among those that a key may see', async () => {
      expect(await place('dm-web', 'web-1')).toMatchObject({ outcome: 'created', machine: { name: 'web-1' } });
      expect(await named('web-1')).toEqual(['dm-web']);
      expect(await named('web-1', ['dm-web'])).toEqual(['dm-web']);
      expect(await named('web-1', [MACHINE])).toEqual([]);
      expect(await named('web-2')).toEqual([]);
    });

    it('belong to one machine, however it gets them', async () => {
      await place('dm-web', 'web-1');
      const { revision = 0 } = (await bench().store.getMachine({ machineId: MACHINE })) ?? {};
      expect(await place('dm-other', 'web-1')).toEqual({ outcome: 'name_taken' });
      expect(await place('dm-web', 'web-2')).toEqual({ outcome: 'exists' });
      expect(await rename(MACHINE, 'web-1')).toMatchObject({ outcome: 'refused', refusal: 'name_taken' });
      expect(await enrol('dm-joined', 'web-1')).toEqual({ outcome: 'name_taken' });
      expect(await enrol('dm-joined-2', 'web-1', MACHINE)).toEqual({ outcome: 'name_taken' });
      expect(await bench().store.getMachine({ machineId: MACHINE })).toMatchObject({ revision });
      expect(await bench().store.getMachine({ machineId: 'dm-joined' })).toBeUndefined();
      expect(await named('web-1')).toEqual(['dm-web']);
    });

    it('have one winner of a race', async () => {
      const ids = Array.from({ length: 10 }, (_, index) => `dm-racer-${index}`);
      const outcomes = await Promise.all(ids.map((machineId) => place(machineId, 'web-1')));
      expect(outcomes.filter(({ outcome }) => outcome === 'created')).toHaveLength(1);
      expect(outcomes.filter(({ outcome }) => outcome === 'name_taken')).toHaveLength(9);
    });

    it('can be changed, and the previous one is free again', async () => {
      await place('dm-web', 'web-1');
      expect(await rename('dm-web', 'web-1')).toMatchObject({ outcome: 'unchanged' });
      expect(await rename('dm-web', 'web-2')).toMatchObject({ outcome: 'changed', machine: { name: 'web-2' } });
      expect([await named('web-1'), await named('web-2')]).toEqual([[], ['dm-web']]);
      expect(await rename(MACHINE, 'web-1')).toMatchObject({ outcome: 'changed' });
    });

    it('are free for another id when their machine is removed', async () => {
      await place('dm-web', 'web-1');
      await remove('dm-web');
      expect(await named('web-1')).toEqual([]);
      expect(await enrol('dm-web-again', 'web-1')).toMatchObject({ outcome: 'enrolled', machine: { name: 'web-1' } });
      expect(await named('web-1')).toEqual(['dm-web-again']);
      expect(await bench().store.getMachine({ machineId: 'dm-web' })).toMatchObject({ name: 'web-1' });
    });

    it('are given to an existing machine when its agent joins with one', async () => {
      expect(await enrol('dm-token', 'web-1', MACHINE)).toMatchObject({
        machine: { machineId: MACHINE, name: 'web-1' },
      });
      expect(await named('web-1')).toEqual([MACHINE]);
    });
  });
}
