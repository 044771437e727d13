/** Reports of agents are stored once, in order, byte for byte. */
import { describe, expect, it } from 'vitest';
import { FAILURE_CODES } from '../../../src/core/execution.ts';
import { ended, MACHINE, type OpenStore, RUNNER, record, T0, useStore } from './fixture.ts';

export function describeReports(open: OpenStore): void {
  describe('appendReports', () => {
    const bench = useStore(open);

    it('turns reports into events and changes the status', async () => {
      const { executionId } = await bench().dispatched({ sealedInput: Buffer.from('s') });
      const first = await bench().report(
        [
          record(executionId, 1, 'started', { pid: 7 }),
          record(executionId, 2, 'stdout', 'out'),
          record(executionId, 3, 'stderr', 'err!'),
        ],
        { now: T0 + 50 },
      );
      expect(first).toMatchObject({ outcome: 'applied', reported: 3, statusChanged: true });
      expect(first.execution).toEqual(await bench().get(executionId));
      expect(first.execution).toMatchObject({
        status: 'running',
        startedAt: T0 + 50,
        stdout: { bytes: 3, truncated: false },
        stderr: { bytes: 4, truncated: false },
        lastSequence: 4,
      });
      const failed = ended({ status: 'failed', exit_code: 3, error_code: 'nonzero_exit', error_message: 'Exit 3.' });
      const last = await bench().report([record(executionId, 4, 'ended', failed)], { now: T0 + 60 });
      expect(last).toMatchObject({ outcome: 'applied', reported: 4, statusChanged: true });
      expect(last.execution).toEqual(await bench().get(executionId));
      expect(last.execution).toMatchObject({
        status: 'failed',
        exitCode: 3,
        errorCode: 'nonzero_exit',
        errorMessage: 'Exit 3.',
        completedAt: T0 + 60,
      });
      expect(await bench().events(executionId)).toEqual([
        { sequence: 1, at: T0, type: 'lifecycle', status: 'queued' },
        { sequence: 2, at: T0 + 1, type: 'lifecycle', status: 'running' },
        { sequence: 3, at: T0 + 2, type: 'stdout', chunk: Buffer.from('out') },
        { sequence: 4, at: T0 + 3, type: 'stderr', chunk: Buffer.from('err!') },
        {
          sequence: 5,
          at: T0 + 4,
          type: 'lifecycle',
          status: 'failed',
          exitCode: 3,
          errorCode: 'nonzero_exit',
          errorMessage: 'Exit 3.',
        },
      ]);
      expect(await bench().store.listDispatched({ machineId: MACHINE, aboveNumber: 0 })).toEqual([]);
    });

    it('moves a command that never started from queued to failed', async () => {
      const { executionId } = await bench().dispatched();
      const failed = ended({ status: 'failed', exit_code: 127, error_code: 'command_not_found' });
      const result = await bench().report([record(executionId, 1, 'ended', failed)]);
      expect(result.execution).toMatchObject({ status: 'failed', errorCode: 'command_not_found', exitCode: 127 });
      expect(result.execution).not.toHaveProperty('startedAt');
    });

    it('drops repeats, completely or in part', async () => {
      const { executionId } = await bench().dispatched();
      const reports = [
        record(executionId, 1, 'started'),
        record(executionId, 2, 'stdout', 'a'),
        record(executionId, 3, 'stdout', 'b'),
      ];
      await bench().report(reports.slice(0, 2));
      expect(await bench().report(reports.slice(0, 2))).toMatchObject({
        outcome: 'duplicate',
        reported: 2,
        statusChanged: false,
      });
      expect(await bench().report(reports)).toMatchObject({ outcome: 'applied', reported: 3, statusChanged: false });
      expect((await bench().events(executionId)).map(({ type }) => type)).toEqual([
        'lifecycle',
        'lifecycle',
        'stdout',
        'stdout',
      ]);
    });

    it('accepts nothing after a gap', async () => {
      const { executionId } = await bench().dispatched();
      const result = await bench().report([
        record(executionId, 1, 'started'),
        record(executionId, 3, 'stdout', 'c'),
        record(executionId, 2, 'stdout', 'b'),
      ]);
      expect(result).toMatchObject({ outcome: 'gap', reported: 1, statusChanged: true });
      expect(await bench().events(executionId)).toHaveLength(2);
      expect(await bench().report([record(executionId, 2, 'stdout', 'b')])).toMatchObject({ reported: 2 });
    });

    it('drops everything after the end, so that the agent forgets', async () => {
      const { executionId } = await bench().dispatched();
      const result = await bench().report([
        record(executionId, 1, 'ended', ended()),
        record(executionId, 2, 'stdout', 'late'),
      ]);
      expect(result).toMatchObject({ outcome: 'applied', reported: 2, execution: { status: 'succeeded' } });
      expect(await bench().report([record(executionId, 9, 'started')])).toMatchObject({
        outcome: 'terminal',
        reported: 9,
        statusChanged: false,
        execution: { status: 'succeeded' },
      });
      expect(await bench().events(executionId)).toHaveLength(2);
    });

    it('drops reports on an execution that was declared lost', async () => {
      const { executionId } = await bench().dispatched();
      await bench().store.markLost({ ...bench().ofConnection(T0 + 5), executionIds: [executionId], reason: 'away' });
      expect(await bench().report([record(executionId, 1, 'started')])).toMatchObject({
        outcome: 'terminal',
        reported: 1,
      });
      expect((await bench().get(executionId)).errorCode).toBe('agent_lost');
    });

    it('refuses an execution of another machine, an unknown one, and one that was never dispatched', async () => {
      await bench().connect('dm-two', 'runner-2');
      const own = await bench().dispatched();
      const waiting = await bench().create();
      const reports = [own.executionId, 'none', waiting.executionId].map((id) => record(id, 1, 'started'));
      for (const machineId of ['dm-two', MACHINE]) {
        const results = await bench().store.appendReports({ machineId, records: reports, clockOffsetMs: 0, now: T0 });
        expect(results.map(({ outcome }) => outcome)).toEqual([
          machineId === MACHINE ? 'applied' : 'foreign',
          'foreign',
          'foreign',
        ]);
        expect(results[1]).not.toHaveProperty('execution');
      }
      expect(await bench().get(waiting.executionId)).toEqual(waiting);
    });

    it('keeps the executions of one call apart', async () => {
      const [a, b] = [await bench().dispatched(), await bench().dispatched()];
      const results = await bench().store.appendReports({
        machineId: MACHINE,
        records: [
          record(a.executionId, 1, 'started'),
          record(b.executionId, 2, 'stdout', 'gap'),
          record(a.executionId, 2, 'stdout', 'x'),
        ],
        clockOffsetMs: 0,
        now: T0 + 9,
      });
      expect(results).toMatchObject([
        { executionId: a.executionId, outcome: 'applied', reported: 2 },
        { executionId: b.executionId, outcome: 'gap', reported: 0 },
      ]);
    });

    it('uses up the number of an unknown kind, and of an empty chunk', async () => {
      const { executionId } = await bench().dispatched();
      const unknown = { ...record(executionId, 2, 'stdout', 'x'), kind: 60 };
      const reports = [record(executionId, 1, 'started'), unknown, record(executionId, 3, 'stdout', '')];
      expect(await bench().report(reports)).toMatchObject({ outcome: 'applied', reported: 3 });
      expect(await bench().events(executionId)).toHaveLength(2);
      expect(await bench().report([record(executionId, 4, 'stdout', 'y')])).toMatchObject({ reported: 4 });
    });

    it('counts output that was produced and not kept', async () => {
      const { executionId } = await bench().dispatched();
      await bench().report([record(executionId, 1, 'started'), record(executionId, 2, 'stdout', 'kept')]);
      const progress = { stdout_bytes: 1_000_000, stderr_bytes: 2 };
      const during = await bench().report([record(executionId, 3, 'progress', progress)]);
      expect(during.execution).toMatchObject({
        stdout: { bytes: 1_000_000, truncated: true },
        // The rest can still arrive: the agent holds back an incomplete character.
        stderr: { bytes: 2, truncated: false },
      });
      expect(await bench().events(executionId)).toHaveLength(3);
      const counts = { stdout_bytes: 2_000_000, stderr_bytes: 0, stdout_truncated: true };
      const after = await bench().report([
        record(executionId, 4, 'stderr', 'ab'),
        record(executionId, 5, 'ended', ended(counts)),
      ]);
      expect(after.execution).toMatchObject({
        stdout: { bytes: 2_000_000, truncated: true },
        stderr: { bytes: 2, truncated: false },
      });
    });

    it.each([
      [
        { status: 'succeeded', exit_code: 0 },
        { status: 'succeeded', exitCode: 0 },
      ],
      [
        { status: 'cancelled', signal: 15 },
        { status: 'cancelled', signal: 15, errorCode: 'cancelled', errorMessage: expect.any(String) },
      ],
      [
        { status: 'failed', signal: 9, error_code: 'timeout', error_message: 'Too long.' },
        { status: 'expired', signal: 9, errorCode: 'execution_timed_out', errorMessage: 'Too long.' },
      ],
      [
        { status: 'failed', signal: 9, error_code: 'from_the_future' },
        { status: 'failed', errorCode: 'signaled' },
      ],
      [
        { status: 'failed', exit_code: 1 },
        { status: 'failed', errorCode: 'nonzero_exit' },
      ],
      [{ status: 'failed' }, { status: 'failed', errorCode: 'spawn_failed' }],
      ['not JSON', { status: 'failed', errorCode: 'agent_lost' }],
      ['[]', { status: 'failed', errorCode: 'agent_lost' }],
    ])('ends an execution by %j', async (payload, expected) => {
      const { executionId } = await bench().dispatched();
      const { execution } = await bench().report([record(executionId, 1, 'ended', payload)]);
      expect(execution).toMatchObject(expected);
      if (execution?.status !== 'succeeded') expect(FAILURE_CODES).toContain(execution?.errorCode);
      const events = await bench().events(executionId);
      expect(events.at(-1)).toMatchObject({ type: 'lifecycle', ...expected });
    });

    it('stores texts and numbers that a hostile agent makes up, bounded and consistent', async () => {
      const endOf = async (fields: object) => {
        const { executionId } = await bench().dispatched();
        const end = record(executionId, 2, 'ended', { ...ended(), ...fields });
        const { outcome, execution } = await bench().report([record(executionId, 1, 'started'), end]);
        expect(outcome).toBe('applied');
        expect(execution).toEqual(await bench().get(executionId));
        return execution;
      };
      const failed = { status: 'failed', error_code: 'spawn_failed' };
      expect(await endOf({ ...failed, error_message: 'a\0b\ud800' })).toMatchObject({ errorMessage: 'a\ufffdb\ufffd' });
      expect((await endOf({ ...failed, error_message: 'x'.repeat(60_000) }))?.errorMessage).toHaveLength(8192);
      const numbers = await endOf({ ...failed, exit_code: 2 ** 53 - 1, signal: -1 });
      expect([numbers?.exitCode, numbers?.signal]).toEqual([undefined, undefined]);
      expect(await endOf({ exit_code: 5 })).toMatchObject({ status: 'failed', exitCode: 5, errorCode: 'nonzero_exit' });
      expect(await endOf({ signal: 9 })).toMatchObject({ errorCode: 'signaled' });
      const most = Number.MAX_SAFE_INTEGER;
      const counted = await endOf({ stdout_bytes: most, stderr_bytes: -most });
      expect(counted).toMatchObject({ stdout: { bytes: most, truncated: true }, stderr: { bytes: 0 } });
    });

    it('converts the agent’s times to the server’s clock, never backwards and never into the future', async () => {
      const { executionId } = await bench().dispatched();
      const at = (number: number, time: number) => record(executionId, number, 'stdout', 'x', time);
      await bench().report([record(executionId, 1, 'started', '', 100)], { clockOffsetMs: T0 - 95, now: T0 + 10 });
      await bench().report([at(2, 90), at(3, 107.9), at(4, 500)], { clockOffsetMs: T0 - 95, now: T0 + 20 });
      await bench().report([at(5, Number.NaN)], { clockOffsetMs: 0, now: T0 + 15 });
      const times = (await bench().events(executionId)).map((event) => event.at - T0);
      expect(times).toEqual([0, 5, 5, 12, 20, 20]);
    });
  });

  describe('readStream and outputBounds', () => {
    const bench = useStore(open);

    it('reads any part of either stream', async () => {
      const { executionId } = await bench().dispatched({ dispatchTo: RUNNER });
      const bytes = Buffer.from(Array.from({ length: 1000 }, (_, index) => index % 256));
      let number = 0;
      for (let offset = 0; offset < bytes.length; offset += 70) {
        await bench().report([
          record(executionId, ++number, 'stdout', bytes.subarray(offset, offset + 70)),
          record(executionId, ++number, 'stderr', 'err'),
        ]);
      }
      const read = (offset: number, maxBytes: number) =>
        bench().store.readStream({ executionId, stream: 'stdout', offset, maxBytes });
      for (const [offset, maxBytes] of [
        [0, 1000],
        [0, 5000],
        [69, 1],
        [69, 2],
        [70, 70],
        [333, 444],
        [999, 10],
      ] as const) {
        expect(await read(offset, maxBytes)).toEqual(bytes.subarray(offset, offset + maxBytes));
      }
      expect(await read(1000, 10)).toHaveLength(0);
      expect(await read(5000, 10)).toHaveLength(0);
      expect(await read(5, 0)).toHaveLength(1);
      expect(await bench().store.outputBounds({ executionId, stream: 'stdout' })).toEqual({ start: 0, end: 1000 });
      expect(await bench().store.outputBounds({ executionId, stream: 'stderr' })).toEqual({ start: 0, end: 45 });
    });

    it('returns nothing if there is no output', async () => {
      const { executionId } = await bench().create();
      for (const id of [executionId, 'none']) {
        expect(
          await bench().store.readStream({ executionId: id, stream: 'stdout', offset: 0, maxBytes: 9 }),
        ).toHaveLength(0);
        expect(await bench().store.outputBounds({ executionId: id, stream: 'stdout' })).toEqual({ start: 0, end: 0 });
      }
    });
  });
}
