/** Limits that the store enforces: output caps, the queue's bytes, the size of audit entries, and valid actors. */
import { describe, expect, it } from 'vitest';
import { ended, MACHINE, type OpenStore, record, T0, useStore } from './fixture.ts';

export function describeLimits(open: OpenStore): void {
  describe('output caps', () => {
    const bench = useStore(open);
    const read = async (executionId: string, stream: 'stdout' | 'stderr' = 'stdout') =>
      (await bench().store.readStream({ executionId, stream, offset: 0, maxBytes: 1000 })).toString();

    it('hold for each stream, whatever the agent sends and reports', async () => {
      const { executionId } = await bench().dispatched();
      const chunks = ['12345', '6789', 'abcd', 'ef'].map((text, index) =>
        record(executionId, index + 1, 'stdout', text),
      );
      const end = record(executionId, 6, 'ended', ended());
      await bench().report([...chunks, record(executionId, 5, 'stderr', 'err'), end], { maxOutputBytes: 10 });
      expect(await read(executionId)).toBe('123456789a');
      expect(await read(executionId, 'stderr')).toBe('err');
      expect(await bench().store.outputBounds({ executionId, stream: 'stdout' })).toEqual({ start: 0, end: 10 });
      expect(await bench().get(executionId)).toMatchObject({
        stdout: { bytes: 15, truncated: true },
        stderr: { bytes: 3, truncated: false },
        reported: 6,
        status: 'succeeded',
      });
      const events = await bench().events(executionId);
      expect(events.map(({ sequence }) => sequence)).toEqual([1, 2, 3, 4, 5, 6]);
      expect(events.map(({ type }) => type)).toEqual([
        'lifecycle',
        'stdout',
        'stdout',
        'stdout',
        'stderr',
        'lifecycle',
      ]);
    });

    it('do not split a character, and nothing is kept after one that did not fit', async () => {
      const { executionId } = await bench().dispatched();
      const texts = ['aé', 'bü', 'cd'].map((text, index) => record(executionId, index + 1, 'stdout', text));
      await bench().report(texts, { maxOutputBytes: 5 });
      expect(await read(executionId)).toBe('aéb');
      expect(await bench().get(executionId)).toMatchObject({ stdout: { bytes: 8, truncated: true } });
    });
  });

  describe('the end of a stream that was cut', () => {
    const bench = useStore(open);
    const tail = async (executionId: string, stream: 'stdout' | 'stderr' = 'stdout') =>
      (await bench().store.outputTail({ executionId, stream }))?.toString();
    const cut = async () => {
      const { executionId } = await bench().dispatched();
      await bench().report([record(executionId, 1, 'stdout', 'abcdef')], { maxOutputBytes: 3 });
      return executionId;
    };

    it('is kept once per stream, and bounded whatever the agent sends', async () => {
      const executionId = await cut();
      const first = [record(executionId, 2, 'stdout_tail', 'def'), record(executionId, 3, 'stdout_tail', 'DEF')];
      await bench().report([...first, record(executionId, 4, 'stderr_tail', Buffer.alloc(65_536, 'e'))]);
      await bench().report([
        record(executionId, 4, 'stderr_tail', 'repeat'),
        record(executionId, 5, 'stdout_tail', 'x'),
      ]);
      await bench().report([record(executionId, 6, 'ended', ended({ stdout_bytes: 6 }))]);
      expect(await tail(executionId)).toBe('def');
      expect(await tail(executionId, 'stderr')).toHaveLength(65_536);
      expect(await bench().get(executionId)).toMatchObject({ reported: 6, stdout: { bytes: 6, truncated: true } });
      expect((await bench().events(executionId)).map(({ type }) => type)).toEqual(['lifecycle', 'stdout', 'lifecycle']);
      const { end } = await bench().store.outputBounds({ executionId, stream: 'stdout' });
      expect(end).toBe(3);
    });

    it('is missing if the agent did not send it, and nothing is kept after the end', async () => {
      const executionId = await cut();
      await bench().report([record(executionId, 2, 'ended', ended()), record(executionId, 3, 'stdout_tail', 'def')]);
      expect([await tail(executionId), await tail('absent')]).toEqual([undefined, undefined]);
    });

    it('is deleted with its execution', async () => {
      const executionId = await cut();
      await bench().report([record(executionId, 2, 'stdout_tail', 'def'), record(executionId, 3, 'ended', ended())]);
      expect(await tail(executionId)).toBe('def');
      expect(await bench().store.deleteFinished({ before: T0 + 1000, limit: 10 })).toBe(1);
      for (let more = true; more; ) more = await bench().store.maintain({ maxBytes: 0 });
      expect(await tail(executionId)).toBeUndefined();
    });
  });

  describe('the bytes of a queue', () => {
    const bench = useStore(open);
    const create = async (bytes: number, queueBytes = 1000) => {
      const request = bench().request({ sealedInput: Buffer.alloc(bytes) });
      return { ...request, outcome: (await bench().store.createExecution({ ...request, queueBytes })).outcome };
    };

    it('are bounded for each machine, and free again when an execution is claimed, cancelled or ended', async () => {
      const first = await create(400);
      const second = await create(400);
      expect((await create(400)).outcome).toBe('queue_full');
      const cancel = { machineId: MACHINE, executionId: second.execution.executionId, by: 'admin', now: T0 };
      await bench().store.requestCancel(cancel);
      expect((await create(400)).outcome).toBe('created');
      expect((await create(400)).outcome).toBe('queue_full');
      await bench().store.claimQueued({ ...bench().ofConnection(T0), limit: 9 });
      expect((await create(900)).outcome).toBe('created');
      expect(first.outcome).toBe('created');
    });

    it('that one creator has waiting are summed over its machines', async () => {
      const { store } = bench();
      const bytes = async (createdBy: string) => store.queuedBytes({ createdBy });
      const make = (createdBy: string, machineId = MACHINE) => {
        const { execution, ...request } = bench().request({ command: ['echo', 'x'.repeat(994)] });
        return store.createExecution({ ...request, execution: { ...execution, createdBy, machineId } });
      };
      await bench().connect('dm-other', 'runner-9');
      await make('key-a');
      await make('key-a', 'dm-other');
      await make('key-b');
      expect([await bytes('key-a'), await bytes('key-b'), await bytes('key-c')]).toEqual([2002, 1001, 0]);
      await store.claimQueued({ ...bench().ofConnection(T0), limit: 9 });
      expect([await bytes('key-a'), await bytes('key-b')]).toEqual([1001, 0]);
    });

    it('include argv, and a single larger request is accepted', async () => {
      const command = ['echo', 'x'.repeat(2000)];
      const request = () => ({ ...bench().request({ command }), queueBytes: 1000 });
      expect(await bench().store.createExecution(request())).toMatchObject({ outcome: 'created' });
      expect(await bench().store.createExecution(request())).toEqual({ outcome: 'queue_full' });
    });
  });

  describe('the audit trail', () => {
    const bench = useStore(open);
    const append = (at: number, machineId?: string) =>
      bench().store.appendAudit({
        entry: { at, actor: 'admin', source: '::1', action: 'made', outcome: 'ok', ...(machineId && { machineId }) },
      });
    const times = async (after = 0, machineIds?: string[]) =>
      (await bench().store.exportAudit({ after, limit: 9, ...(machineIds && { machineIds }) })).map(({ at }) => at);
    const idOf = async (at: number) =>
      (await bench().store.exportAudit({ after: 0, limit: 9 })).find((entry) => entry.at === at)?.auditId ?? 0;

    it('is exported oldest first, after an entry, for some machines or all', async () => {
      await append(1);
      await append(2, MACHINE);
      await append(3, 'dm-two');
      await append(4, MACHINE);
      expect(await times()).toEqual([1, 2, 3, 4]);
      expect(await times(await idOf(2))).toEqual([3, 4]);
      expect(await times(0, [MACHINE])).toEqual([2, 4]);
      expect(await times(await idOf(2), ['dm-two', MACHINE])).toEqual([3, 4]);
      const { store } = bench();
      expect((await store.exportAudit({ after: 0, limit: 3 })).map(({ at }) => at)).toEqual([1, 2, 3]);
    });

    it('deletes entries that were exported and released, or are old, but never its newest entry', async () => {
      const { store } = bench();
      for (const at of [1, 2, 3, 4, 5]) await append(at);
      const [second, last] = [await idOf(2), await idOf(5)];
      expect(await store.releaseAudit({ through: second })).toBe('not_exported');
      expect(await store.deleteAudit({ before: 0, limit: 9 })).toBe(0);
      await store.noteAuditExported({ through: last });
      await store.noteAuditExported({ through: second });
      expect(await store.deleteAudit({ before: 0, limit: 9 })).toBe(0);
      expect(await store.releaseAudit({ through: second })).toBe('released');
      expect(await store.releaseAudit({ through: last + 1 })).toBe('not_exported');
      expect(await store.deleteAudit({ before: 0, limit: 1 })).toBe(1);
      expect(await store.deleteAudit({ before: 0, limit: 9 })).toBe(1);
      expect(await times()).toEqual([3, 4, 5]);
      expect(await store.deleteAudit({ before: 4, limit: 9 })).toBe(1);
      expect(await store.releaseAudit({ through: last })).toBe('released');
      expect(await store.deleteAudit({ before: 99, limit: 9 })).toBe(1);
      expect(await times()).toEqual([5]);
      await append(6);
      expect(await idOf(6)).toBeGreaterThan(last);
    });

    it('keeps the beginning of a long argv, and its digest', async () => {
      const { store } = bench();
      const entry = { at: T0, actor: 'admin', source: '::1', action: 'execution.create', outcome: 'created' };
      const command = ['sh', '-c', 'x'.repeat(100_000), 'tail'];
      await store.appendAudit({ entry: { ...entry, command } });
      await store.appendAudit({ entry: { ...entry, command: [...command, 'other'] } });
      const [other, long] = (await store.listAudit({ limit: 9 })).items;
      expect(long?.command?.slice(0, 2)).toEqual(['sh', '-c']);
      expect(JSON.stringify(long?.command).length).toBeLessThan(5000);
      expect(long?.commandDigest).toMatch(/^[0-9a-f]{64}$/);
      expect(other?.commandDigest).not.toBe(long?.commandDigest);
    });
  });
}
