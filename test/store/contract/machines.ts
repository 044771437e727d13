/** The life of a machine. */
import { describe, expect, it } from 'vitest';
import { FACTS, MACHINE, type OpenStore, RUNNER, record, T0, useStore, REMOVE } from './fixture.ts';

export function describeMachines(open: OpenStore): void {
  describe('machines', () => {
    const bench = useStore(open);
    const connect = (machineId: string, now: number, runnerInstance = RUNNER) =>
      bench().store.machineConnected({ machineId, runnerInstance, bootId: 'boot-2', facts: FACTS, now });
    const get = async (machineId = MACHINE) => {
      const machine = await bench().store.getMachine({ machineId });
      if (machine === undefined) throw new Error(`no ${machineId}`);
      return machine;
    };

    it('are made once, and have no agent yet', async () => {
      const create = () => bench().store.createMachine({ machineId: 'dm-new', now: T0 + 1 });
      const created = await create();
      expect(created).toEqual({
        outcome: 'created',
        machine: {
          machineId: 'dm-new',
          createdAt: T0 + 1,
          facts: { vcpu: 0, memory_mib: 0, storage_gib: 0 },
          autosleepSeconds: 0,
          desiredState: 'running',
          phase: 'placement_pending',
          reason: 'never_joined',
          revision: 1,
          agent: 'never_joined',
          epoch: 0,
          providerState: 'absent',
          lastOperation: 0,
          failedForGood: false,
          resizing: false,
          lastTransitionAt: T0 + 1,
          lastProgressAt: T0 + 1,
        },
      });
      expect(await create()).toEqual({ outcome: 'exists' });
      expect(await bench().store.getMachine({ machineId: 'dm-none' })).toBeUndefined();
    });

    it('connect and disconnect, each with a transition', async () => {
      const before = await get();
      expect(before).toMatchObject({ phase: 'running', facts: FACTS, runnerInstance: RUNNER, bootId: 'boot' });
      expect(await bench().disconnect(MACHINE, T0 + 5)).toBe('applied');
      const away = await get();
      expect(away).toMatchObject({ phase: 'sleeping', lastTransitionAt: T0 + 5, runnerInstance: RUNNER });
      expect(away.revision).toBeGreaterThan(before.revision);
      const back = await connect(MACHINE, T0 + 9);
      const machine = await get();
      const epoch = bench().epoch() + 1;
      expect(back).toEqual({ outcome: 'applied', machine, epoch, isSameInstance: true, hasWaiting: false });
      expect(await get()).toMatchObject({ phase: 'running', bootId: 'boot-2', lastTransitionAt: T0 + 9 });
    });

    it('continue after the highest dispatch number that their agent has accepted, if it is higher', async () => {
      const { store } = bench();
      expect((await bench().dispatched()).dispatchNumber).toBe(1);
      const connectAt = async (lastDispatchNumber: number) => {
        const agent = { machineId: MACHINE, runnerInstance: RUNNER, bootId: 'boot', facts: FACTS, lastDispatchNumber };
        const connected = await store.machineConnected({ ...agent, now: T0 });
        return connected.outcome === 'applied' ? connected.epoch : 0;
      };
      expect((await bench().dispatched({ epoch: await connectAt(40) })).dispatchNumber).toBe(41);
      expect((await bench().dispatched({ epoch: await connectAt(7) })).dispatchNumber).toBe(42);
      // A high reported number must leave room for later numbers.
      const last = await bench().dispatched({ epoch: await connectAt(Number.MAX_SAFE_INTEGER) });
      expect(last.dispatchNumber).toBeLessThan(2 ** 52 + 2);
    });

    it('say when they connect whether executions wait for them, and whether their runner was another one', async () => {
      const waiting = await bench().create();
      expect(await connect(MACHINE, T0 + 5)).toMatchObject({ isSameInstance: true, hasWaiting: true });
      await bench().store.requestCancel({ machineId: MACHINE, executionId: waiting.executionId, by: 'admin', now: T0 });
      expect(await connect(MACHINE, T0 + 6, 'runner-2')).toMatchObject({ isSameInstance: false, hasWaiting: false });
      await bench().create();
      await bench().disconnect();
      expect(await connect(MACHINE, T0 + 7, 'runner-2')).toMatchObject({ isSameInstance: true, hasWaiting: true });
    });

    it('are refused to an agent whose credential was replaced since it has authenticated', async () => {
      const { store } = bench();
      const hash = (name: string) => Buffer.from(name.padEnd(32));
      const connectWith = (credential: string) => {
        const agent = { machineId: MACHINE, runnerInstance: RUNNER, bootId: 'boot', facts: FACTS, now: T0 + 5 };
        return store.machineConnected({ ...agent, credentialHash: hash(credential) });
      };
      await store.replaceCredential({ machineId: MACHINE, credentialHash: hash('a'), now: T0 });
      expect(await connectWith('a')).toMatchObject({ outcome: 'applied' });
      await store.replaceCredential({ machineId: MACHINE, credentialHash: hash('b'), now: T0 });
      const before = await get();
      expect(await connectWith('a')).toEqual({ outcome: 'credential_invalid' });
      expect(await get()).toEqual(before);
      await store.createMachine({ machineId: 'dm-other', now: T0 });
      await store.replaceCredential({ machineId: 'dm-other', credentialHash: hash('c'), now: T0 });
      expect(await connectWith('c')).toEqual({ outcome: 'credential_invalid' });
    });

    it('stay connected when a connection that was replaced ends', async () => {
      const before = bench().epoch();
      await bench().connect();
      expect(bench().epoch()).toBeGreaterThan(before);
      const connected = await get();
      const gone = { machineId: MACHINE, epoch: before, now: T0 + 5 };
      expect(await bench().store.machineDisconnected(gone)).toBe('stale');
      expect(await get()).toEqual(connected);
    });

    it('have no transition when a connection replaces another, or ends twice', async () => {
      const before = await get();
      await bench().connect(MACHINE, 'runner-2', T0 + 9);
      expect(await get()).toMatchObject({
        revision: before.revision,
        lastTransitionAt: before.lastTransitionAt,
        runnerInstance: 'runner-2',
        lastProgressAt: T0 + 9,
      });
      expect(await bench().disconnect(MACHINE, T0 + 10)).toBe('applied');
      const away = await get();
      expect(await bench().disconnect(MACHINE, T0 + 11)).toBe('stale');
      expect(await get()).toEqual(away);
    });

    it('are removed for good, with all their running and waiting executions', async () => {
      const { store } = bench();
      await store.replaceCredential({ machineId: MACHINE, credentialHash: Buffer.from('c'), now: T0 });
      const running = await bench().dispatched({ sealedInput: Buffer.from('s') });
      const waiting = await bench().create({ sealedInput: Buffer.from('s') });
      const over = await bench().create();
      await bench().report([record(running.executionId, 1, 'started')]);
      await store.requestCancel({ machineId: MACHINE, executionId: over.executionId, by: 'admin', now: T0 });
      const revision = (await get()).revision;
      const removed = await store.changeMachine({ ...REMOVE, machineId: MACHINE, now: T0 + 30 });
      expect(removed).toMatchObject({
        outcome: 'changed',
        machine: { phase: 'destroyed', lastTransitionAt: T0 + 30 },
        ended: [
          { executionId: running.executionId, status: 'failed', errorCode: 'machine_removed' },
          { executionId: waiting.executionId, status: 'cancelled', errorCode: 'machine_removed' },
        ],
      });
      expect((await get()).revision).toBeGreaterThan(revision);
      expect((await bench().events(waiting.executionId)).at(-1)).toMatchObject({
        sequence: 2,
        status: 'cancelled',
        errorCode: 'machine_removed',
      });
      expect(await store.changeMachine({ ...REMOVE, machineId: MACHINE, now: T0 })).toMatchObject({
        outcome: 'unchanged',
      });
      expect(await store.createMachine({ machineId: MACHINE, now: T0 })).toEqual({ outcome: 'exists' });
      expect(await connect(MACHINE, T0 + 40)).toEqual({ outcome: 'removed' });
      expect(await store.findMachineByCredential({ credentialHash: Buffer.from('c') })).toBeUndefined();
      expect(await store.replaceCredential({ machineId: MACHINE, credentialHash: Buffer.from('d'), now: T0 })).toBe(
        'not_found',
      );
      expect(await bench().get(running.executionId)).toMatchObject({ errorCode: 'machine_removed' });
    });

    it('are found by their credential, until it is replaced', async () => {
      const { store } = bench();
      const hash = (name: string) => Buffer.from(name.padEnd(32));
      const replace = (credentialHash: Buffer | undefined, machineId = MACHINE) =>
        store.replaceCredential({ machineId, credentialHash, now: T0 });
      expect(await replace(hash('a'))).toBe('applied');
      expect(await store.findMachineByCredential({ credentialHash: hash('a') })).toEqual(await get());
      expect(await replace(hash('b'))).toBe('applied');
      expect(await store.findMachineByCredential({ credentialHash: hash('a') })).toBeUndefined();
      expect(await replace(undefined)).toBe('applied');
      expect(await store.findMachineByCredential({ credentialHash: hash('b') })).toBeUndefined();
      expect(await replace(hash('c'), 'dm-none')).toBe('not_found');
    });
  });
}
