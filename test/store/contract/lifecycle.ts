/** The lifecycle of machines, and the operations of their providers. */
import { describe, expect, it } from 'vitest';
import type { MachineRequest } from '../../../src/core/decisions/machine-change.ts';
import type { Operation } from '../../../src/core/machines/operation.ts';
import type { Machine, OperationResult } from '../../../src/store/store.ts';
import { FACTS, type OpenStore, record, REMOVE, RUNNER, T0, useStore } from './fixture.ts';

const ALL = new Map<string, ReadonlySet<Operation>>([
  ['docker', new Set<Operation>(['create', 'delete', 'wake', 'sleep', 'resize', 'describe'])],
  ['fixed', new Set<Operation>(['create'])],
]);
const NEW = 'dm-new';

export function describeLifecycle(open: OpenStore): void {
  describe('machines with a provider', () => {
    const bench = useStore(open);
    const place = async (machineId = NEW, p: { provider?: string; maxMachines?: number } = {}) => {
      const { provider = 'docker', ...rest } = p;
      const machine = { machineId, facts: FACTS, autosleepSeconds: 60, provider, attributes: { image: 'debian' } };
      return bench().store.placeMachine({ machine, now: T0, ...rest });
    };
    const change = (request: MachineRequest, p: { machineId?: string; expectedRevision?: number } = {}) =>
      bench().store.changeMachine({ machineId: NEW, request, capabilities: ALL, now: T0 + 1, ...p });
    const get = async (): Promise<Machine> => {
      const machine = await bench().store.getMachine({ machineId: NEW });
      if (machine === undefined) throw new Error('no machine');
      return machine;
    };
    /** Begins the machine's operation and settles it. */
    const settle = async (result: Partial<OperationResult> & object, number?: number) => {
      const { store } = bench();
      const of = number ?? (await get()).operation?.number ?? 0;
      await store.beginOperation({ machineId: NEW, number: of, now: T0 });
      const full = { type: 'operation_answered', number: of, state: 'running', ...result } as OperationResult;
      return store.endOperation({ machineId: NEW, result: full, now: T0 + 2 });
    };
    const connect = () =>
      bench().store.machineConnected({ machineId: NEW, runnerInstance: RUNNER, bootId: 'b', facts: FACTS, now: T0 });
    const use = (p: { dispatchTo?: { runnerInstance: string; epoch: number } } = {}) =>
      bench().store.createExecution({ ...bench().request({ machineId: NEW }), capabilities: ALL, ...p });
    /** Placed, created, connected, put to sleep. */
    const asleep = async () => {
      await place();
      await settle({});
      await connect();
      await change({ type: 'sleep' });
      await bench().store.machineDisconnected({ machineId: NEW, epoch: (await get()).epoch, now: T0 });
      await settle({ state: 'stopped' });
      expect(await get()).toMatchObject({ phase: 'sleeping', reason: 'slept' });
    };

    it('are written with their operation before the provider is called', async () => {
      expect(await place()).toMatchObject({
        outcome: 'created',
        machine: {
          phase: 'accepted',
          provider: 'docker',
          autosleepSeconds: 60,
          attributes: { image: 'debian' },
          operation: { name: 'create', number: 1, attempt: 0, running: false },
        },
      });
      expect(await place()).toEqual({ outcome: 'exists' });
      const due = await bench().store.listDueOperations({ provider: 'docker', now: T0, limit: 9 });
      expect(due).toEqual([await get()]);
      expect(await bench().store.nextOperationAt()).toBe(T0);
      expect(await bench().store.listProviders()).toEqual(['docker']);
    });

    it('are limited in number per provider, not counting removed ones', async () => {
      await place('dm-a', { maxMachines: 1 });
      expect(await place('dm-b', { maxMachines: 1 })).toEqual({ outcome: 'provider_full' });
      await bench().store.changeMachine({ ...REMOVE, machineId: 'dm-a', now: T0 });
      expect(await place('dm-b', { maxMachines: 1 })).toMatchObject({ outcome: 'created' });
    });

    it('begin an operation once, with a join token that lasts from attempt to attempt', async () => {
      const { store } = bench();
      await place();
      const token = { joinTokenId: 'join-op', machineId: NEW, reusable: true, createdAt: T0, expiresAt: T0 + 10 };
      const tokenHash = Buffer.from('token'.padEnd(32));
      const begin = (now: number) =>
        store.beginOperation({
          machineId: NEW,
          number: 1,
          joinToken: { token: { ...token, expiresAt: now + 10 }, tokenHash },
          now,
        });
      expect(await begin(T0)).toMatchObject({
        outcome: 'begun',
        machine: { operation: { attempt: 1, running: true } },
      });
      expect(await begin(T0)).toEqual({ outcome: 'stale' });
      expect(await store.listDueOperations({ provider: 'docker', now: T0, limit: 9 })).toEqual([]);
      const failed = { type: 'operation_failed', number: 1, message: 'busy', retryable: true } as const;
      expect(await store.endOperation({ machineId: NEW, result: failed, now: T0 })).toMatchObject({
        outcome: 'applied',
        machine: { lastError: 'busy', operation: { number: 1, attempt: 1, running: false, dueAt: T0 + 1000 } },
      });
      expect(await begin(T0 + 1000)).toMatchObject({ outcome: 'begun', machine: { operation: { attempt: 2 } } });
      const enrolled = await store.enrol({
        tokenHash,
        freshMachineId: 'dm-x',
        credentialHash: Buffer.from('c'),
        now: T0 + 1009,
      });
      expect(enrolled).toMatchObject({ outcome: 'enrolled', machine: { machineId: NEW } });
    });

    it('accept the answer of their own operation only', async () => {
      await place();
      const result = { type: 'operation_answered', number: 7, state: 'running' } as const;
      expect(await bench().store.endOperation({ machineId: NEW, result, now: T0 })).toEqual({ outcome: 'stale' });
      expect(await settle({ state: 'pending', providerRef: 'c-1', expectedMs: 500 })).toMatchObject({
        outcome: 'applied',
        machine: { phase: 'starting', providerRef: 'c-1', expectedAt: T0 + 502, operation: { name: 'describe' } },
      });
      expect(await connect()).toMatchObject({ outcome: 'applied', machine: { phase: 'running', facts: FACTS } });
    });

    it('change only if the caller has seen the current revision', async () => {
      await place();
      const { revision } = await get();
      expect(await change({ type: 'sleep' }, { expectedRevision: revision + 1 })).toMatchObject({
        outcome: 'refused',
        refusal: 'revision_mismatch',
        machine: { revision },
      });
      const configured = await change({ type: 'configure', autosleepSeconds: 5 }, { expectedRevision: revision });
      expect(configured).toMatchObject({
        outcome: 'changed',
        machine: { autosleepSeconds: 5, revision: revision + 1 },
      });
      const again = await change({ type: 'configure', autosleepSeconds: 5 });
      expect(again).toEqual({ outcome: 'unchanged', machine: await get() });
      expect(await change({ type: 'run' }, { machineId: 'dm-none' })).toEqual({ outcome: 'not_found' });
    });

    it('are not put to sleep while an execution waits or runs', async () => {
      await place();
      await settle({});
      await connect();
      await use();
      expect(await change({ type: 'sleep' })).toMatchObject({
        outcome: 'refused',
        refusal: 'active',
        activeExecutions: 1,
      });
    });

    it('are woken by use, once', async () => {
      await asleep();
      const [first, second] = await Promise.all([use(), use()]);
      expect([first, second]).toMatchObject([
        { outcome: 'created', execution: { status: 'wake_in_progress' } },
        { outcome: 'created', execution: { status: 'wake_in_progress' } },
      ]);
      const machine = await get();
      expect(machine).toMatchObject({ desiredState: 'running', phase: 'starting', operation: { name: 'wake' } });
      await use();
      expect((await get()).operation).toEqual(machine.operation);
    });

    it('keep running if they are used before their agent was disconnected', async () => {
      await place();
      await settle({});
      await connect();
      await change({ type: 'sleep' });
      const { epoch } = await get();
      expect(await use({ dispatchTo: { runnerInstance: RUNNER, epoch } })).toMatchObject({
        outcome: 'created',
        execution: { status: 'queued', dispatchedTo: RUNNER },
      });
      expect(await get()).toMatchObject({ phase: 'running', desiredState: 'running' });
    });

    it('accept no agent while a sleep is running, even if they should run again', async () => {
      await place();
      await settle({});
      await connect();
      await change({ type: 'sleep' });
      const { operation, epoch } = await get();
      await bench().store.beginOperation({ machineId: NEW, number: operation?.number ?? 0, now: T0 });
      await bench().store.machineDisconnected({ machineId: NEW, epoch, now: T0 });
      expect(await use()).toMatchObject({ execution: { status: 'wake_in_progress' } });
      expect(await connect()).toEqual({ outcome: 'stopping' });
      await settle({ state: 'stopped' }, operation?.number);
      expect(await get()).toMatchObject({ phase: 'starting', operation: { name: 'wake', running: false } });
    });

    it('that cannot be woken end the executions that wait for them, and no others', async () => {
      await asleep();
      const waiting = await use();
      const failed = { type: 'operation_failed', message: 'no quota', retryable: false } as const;
      const settled = await settle(failed);
      expect(settled).toMatchObject({
        machine: { phase: 'failed' },
        ended: [{ status: 'failed', errorCode: 'wake_failed' }],
      });
      if (waiting.outcome !== 'created') throw new Error(waiting.outcome);
      const events = await bench().events(waiting.execution.executionId);
      expect(events.at(-1)).toMatchObject({ status: 'failed', errorCode: 'wake_failed' });
      // A new request retries the operation.
      expect(await use()).toMatchObject({ execution: { status: 'wake_in_progress' } });
      expect(await get()).toMatchObject({ phase: 'starting', operation: { name: 'wake', attempt: 0 } });
    });

    it('are deleted by their provider, or forgotten', async () => {
      await asleep();
      expect(await change({ type: 'remove', force: false })).toMatchObject({
        outcome: 'changed',
        machine: { phase: 'destroying', operation: { name: 'delete' } },
      });
      expect(await change({ type: 'run' })).toMatchObject({ outcome: 'refused', refusal: 'destroyed' });
      expect(await use()).toEqual({ outcome: 'machine_removed' });
      expect(await change({ type: 'remove', force: true })).toMatchObject({ machine: { phase: 'destroyed' } });
      expect(await bench().store.nextOperationAt()).toBeUndefined();
    });

    it('get no operation that their provider does not support', async () => {
      await place(NEW, { provider: 'fixed' });
      await settle({});
      await connect();
      expect(await change({ type: 'sleep' })).toMatchObject({ refusal: 'not_supported' });
      expect(await change({ type: 'configure', facts: { vcpu: 8 } })).toMatchObject({ refusal: 'not_supported' });
      expect(await change({ type: 'configure', facts: { storage_gib: 1 } })).toMatchObject({
        refusal: 'storage_below_present',
      });
      expect(await change({ type: 'remove', force: false })).toMatchObject({ refusal: 'not_supported' });
    });

    it('are listed as idle while no execution waits or runs there', async () => {
      const { store } = bench();
      const idle = () => store.listIdle({ after: 0, limit: 9, now: T0 });
      await place();
      await settle({});
      expect((await idle()).items).toEqual([]);
      await connect();
      const before = await idle();
      expect(before.items).toMatchObject([{ machine: { machineId: NEW } }]);
      await use({ dispatchTo: { runnerInstance: RUNNER, epoch: (await get()).epoch } });
      expect((await idle()).items).toEqual([]);
    });

    it('are kept awake by a terminal only while it has a client', async () => {
      const { store } = bench();
      const isIdle = async () => (await store.listIdle({ after: 0, limit: 9, now: T0 + 500 })).items.length === 1;
      await place();
      await settle({});
      await connect();
      const dispatchTo = { runnerInstance: RUNNER, epoch: (await get()).epoch };
      const request = bench().request({ machineId: NEW, outputMode: 'stream', isTerminal: true });
      const created = await store.createExecution({ ...request, capabilities: ALL, dispatchTo });
      if (created.outcome !== 'created') throw new Error(created.outcome);
      const { executionId } = created.execution;
      expect(await isIdle()).toBe(false);
      await bench().report([record(executionId, 1, 'started')], { machineId: NEW });
      expect(await isIdle()).toBe(true);
      await store.outputRead({ executionId, until: T0 + 1000 });
      expect(await isIdle()).toBe(false);
      expect(await change({ type: 'sleep' })).toMatchObject({ refusal: 'active', activeExecutions: 1 });
      await store.outputRead({ executionId, until: T0 });
      expect(await isIdle()).toBe(true);
      expect(await change({ type: 'sleep' })).toMatchObject({ outcome: 'changed', machine: { phase: 'stopping' } });
    });
  });
}
