/** Output that is kept until it is read. */
import { describe, expect, it } from 'vitest';
import type { Stream } from '../../../src/store/store.ts';
import { ended, MACHINE, type OpenStore, record, T0, useStore } from './fixture.ts';

export function describeOutput(open: OpenStore): void {
  describe('output in stream mode', () => {
    const bench = useStore(open);
    const read = async (executionId: string, offset: number, stream: Stream = 'stdout') =>
      (await bench().store.readStream({ executionId, stream, offset, maxBytes: 1000 })).toString();
    const release = (executionId: string, offset: number, stream: Stream = 'stdout', now = T0) =>
      bench().store.releaseOutput({ machineId: MACHINE, executionId, stream, offset, now });
    /** `abcdef` on stdout in three chunks, `err` on stderr. */
    const printed = async () => {
      const { executionId } = await bench().dispatched({ outputMode: 'stream' });
      const chunks = ['ab', 'cd', 'ef'].map((text, index) => record(executionId, index + 2, 'stdout', text));
      await bench().report([record(executionId, 1, 'started'), ...chunks, record(executionId, 5, 'stderr', 'err')]);
      return executionId;
    };

    it('is read by its offsets, and has no events', async () => {
      const executionId = await printed();
      expect([await read(executionId, 0), await read(executionId, 3), await read(executionId, 6)]).toEqual([
        'abcdef',
        'def',
        '',
      ]);
      expect(await read(executionId, 0, 'stderr')).toBe('err');
      expect((await bench().events(executionId)).map(({ type }) => type)).toEqual(['lifecycle', 'lifecycle']);
      expect(await bench().get(executionId)).toMatchObject({ outputMode: 'stream', stdout: { bytes: 6 } });
    });

    it.each(['stream', undefined] as const)(
      'of both streams is read in the order of the reports: %s',
      async (outputMode) => {
        const { executionId } = await bench().dispatched(outputMode === undefined ? {} : { outputMode });
        const names = (['stdout', 'stderr'] as const).map((stream) => ({ stream, letter: stream.charAt(3) }));
        // More chunks than one read returns, of both streams in irregular order.
        const wanted = Array.from({ length: 150 }, (_, n) => ({
          ...(names[n % 7 < 5 ? n % 2 : 0] ?? { stream: 'stdout' as const, letter: 'o' }),
          n,
        }));
        const records = wanted.map(({ stream, letter, n }) => record(executionId, n + 2, stream, `${letter}${n};`));
        await bench().report([record(executionId, 1, 'started'), ...records]);
        const offsets = { stdout: 0, stderr: 0 };
        const got: string[] = [];
        for (;;) {
          const chunks = await bench().store.readMerged({ executionId, offsets });
          if (chunks.length === 0) break;
          for (const { stream, bytes } of chunks) {
            offsets[stream] += bytes.length;
            got.push(`${stream} ${bytes}`);
          }
        }
        expect(got).toEqual(wanted.map(({ stream, letter, n }) => `${stream} ${letter}${n};`));
        // An offset in the middle of a chunk, at which a connection can break.
        const [first, second] = await bench().store.readMerged({
          executionId,
          offsets: { stdout: 1, stderr: offsets.stderr },
        });
        expect([first?.bytes.toString(), second?.stream]).toEqual(['0;', 'stdout']);
        expect(await bench().store.readMerged({ executionId: 'absent', offsets: { stdout: 0, stderr: 0 } })).toEqual(
          [],
        );
      },
    );

    it('of both streams cannot be read before the released offset', async () => {
      const executionId = await printed();
      await release(executionId, 4);
      const merged = (stdout: number) => bench().store.readMerged({ executionId, offsets: { stdout, stderr: 0 } });
      expect((await merged(4)).map(({ bytes }) => bytes.toString())).toEqual(['ef', 'err']);
      await expect(merged(0)).rejects.toMatchObject({ name: 'OutputReleasedError' });
    });

    it('is deleted when it is released, and not before', async () => {
      const executionId = await printed();
      expect(await release(executionId, 3)).toMatchObject({ outcome: 'released', released: { stdout: 3, stderr: 0 } });
      expect(await read(executionId, 3)).toBe('def');
      expect(await bench().store.outputBounds({ executionId, stream: 'stdout' })).toEqual({ start: 3, end: 6 });
      expect(await release(executionId, 1)).toMatchObject({ released: { stdout: 3 } });
      expect(await release(executionId, 6)).toMatchObject({ released: { stdout: 6, stderr: 0 } });
      expect(await read(executionId, 0, 'stderr')).toBe('err');
      await bench().report([record(executionId, 6, 'stdout', 'gh')]);
      expect(await read(executionId, 6)).toBe('gh');
      await expect(read(executionId, 2)).rejects.toMatchObject({ name: 'OutputReleasedError' });
    });

    it('cannot be released past its end, on another machine, or if it is kept', async () => {
      const executionId = await printed();
      expect(await release(executionId, 7)).toEqual({ outcome: 'past_end' });
      expect(await release('absent', 0)).toEqual({ outcome: 'not_found' });
      await bench().connect('dm-other', 'runner-9');
      const elsewhere = { machineId: 'dm-other', executionId, stream: 'stdout' as const, offset: 1, now: T0 };
      expect(await bench().store.releaseOutput(elsewhere)).toEqual({ outcome: 'not_found' });
      const { executionId: kept } = await bench().dispatched();
      expect(await release(kept, 0)).toEqual({ outcome: 'not_streamed' });
    });

    it('that was released before it was stored takes its place in order, and no room', async () => {
      const executionId = await printed();
      const passed = {
        executionId,
        first: 6,
        number: 8,
        upTo: { stdout: 20, stderr: 5 },
        released: { stdout: 20, stderr: 3 },
      };
      const result = await bench().report([passed, record(executionId, 9, 'stdout', 'xyz')]);
      expect(result).toMatchObject({ outcome: 'applied', reported: 9, execution: { stdout: { bytes: 23 } } });
      expect(await bench().store.outputBounds({ executionId, stream: 'stdout' })).toEqual({ start: 20, end: 23 });
      expect(await bench().store.outputBounds({ executionId, stream: 'stderr' })).toEqual({ start: 3, end: 5 });
      expect(await read(executionId, 20)).toBe('xyz');
      await expect(read(executionId, 0)).rejects.toMatchObject({ name: 'OutputReleasedError' });
      // Repeated output after a broken connection changes nothing. A gap is refused.
      const again = [7, 8, 9].map((number) => record(executionId, number, 'stdout', 'zz'));
      expect(await bench().report([...again, passed])).toMatchObject({ outcome: 'duplicate', reported: 9 });
      const gap = { ...passed, first: 11, number: 12 };
      expect(await bench().report([gap])).toMatchObject({ outcome: 'gap', reported: 9 });
      await bench().report([record(executionId, 10, 'ended', ended({ stdout_bytes: 23, stderr_bytes: 5 }))]);
      expect(await bench().get(executionId)).toMatchObject({
        status: 'succeeded',
        stdout: { bytes: 23, truncated: false },
        stderr: { bytes: 5, truncated: false },
      });
      expect(await read(executionId, 20)).toBe('xyz');
    });

    it('that was released may be stored in part already', async () => {
      const executionId = await printed();
      await release(executionId, 2);
      const passed = {
        executionId,
        first: 3,
        number: 7,
        upTo: { stdout: 8, stderr: 3 },
        released: { stdout: 8, stderr: 0 },
      };
      await bench().report([passed, record(executionId, 8, 'stdout', 'ij')]);
      expect([await read(executionId, 8), await read(executionId, 0, 'stderr')]).toEqual(['ij', 'err']);
    });

    it('can be read and released after the end as well', async () => {
      const executionId = await printed();
      await bench().report([record(executionId, 6, 'ended', ended({ stdout_bytes: 6, stderr_bytes: 3 }))]);
      expect(await read(executionId, 0)).toBe('abcdef');
      expect(await release(executionId, 4)).toMatchObject({ outcome: 'released', execution: { status: 'succeeded' } });
      expect(await bench().get(executionId)).toMatchObject({ stdout: { bytes: 6, truncated: false } });
    });

    it('is bounded even if the agent exceeds its window, and the excess is counted', async () => {
      const { executionId } = await bench().dispatched({ outputMode: 'stream' });
      const chunk = Buffer.alloc(65_536, 'x');
      const records = Array.from({ length: 300 }, (_, index) => record(executionId, index + 1, 'stdout', chunk));
      await bench().report(records, { maxOutputBytes: 10, streamBufferBytes: 65_536 });
      const { end } = await bench().store.outputBounds({ executionId, stream: 'stdout' });
      // Twice the buffer: a killed server leaves a command that may be a whole buffer ahead of the store.
      expect(end).toBe(2 * 65_536 + 16 * 1024 * 1024);
      expect(await bench().get(executionId)).toMatchObject({ stdout: { bytes: 300 * 65_536, truncated: true } });
    });

    it('that nobody reads is abandoned, once; a present reader keeps it', async () => {
      const [idle, readNow, releasedNow] = [await printed(), await printed(), await printed()];
      await bench().store.outputRead({ executionId: readNow, until: T0 + 500 });
      await release(releasedNow, 2, 'stdout', T0 + 500);
      await bench().dispatched();
      const abandon = () => bench().store.abandonIdleOutput({ idleSince: T0 + 100, now: T0 + 600, limit: 10 });
      expect(await abandon()).toMatchObject([{ executionId: idle, outputMode: 'abandoned', status: 'running' }]);
      expect(await abandon()).toEqual([]);
      const log = await bench().events(idle);
      expect(log.at(-1)).toMatchObject({ type: 'lifecycle', status: 'running', sequence: 3 });
      expect(await read(idle, 0)).toBe('abcdef');
    });

    it('of a terminal is idle since its last client left, however much is released; before its start it is not', async () => {
      const { store } = bench();
      const make = async () => {
        const { executionId } = await bench().dispatched({ outputMode: 'stream', isTerminal: true });
        await bench().report([record(executionId, 1, 'started'), record(executionId, 2, 'stdout', 'abcdef')]);
        return executionId;
      };
      const [idle, attached, cut] = [await make(), await make(), await make()];
      await store.outputRead({ executionId: attached, until: T0 + 500 });
      await release(cut, 2, 'stdout', T0 + 500);
      await printed();
      await bench().create({ outputMode: 'stream', isTerminal: true });
      const listed = await store.listIdleTerminals({ idleSince: T0 + 100, limit: 10 });
      expect(listed.map(({ executionId }) => executionId).sort()).toEqual([idle, cut].sort());
      expect(await store.abandonIdleOutput({ idleSince: T0 + 100, now: T0 + 600, limit: 10 })).toHaveLength(1);
    });

    it('of a terminal is deleted once the terminal has ended before a time; that of others stays', async () => {
      const { store } = bench();
      const make = async (isTerminal: boolean, endedAt?: number) => {
        const { executionId } = await bench().dispatched({
          outputMode: 'stream',
          ...(isTerminal && { isTerminal: true as const }),
        });
        await bench().report([record(executionId, 1, 'started'), record(executionId, 2, 'stdout', 'abcdef')]);
        if (endedAt !== undefined) await bench().report([record(executionId, 3, 'ended', ended())], { now: endedAt });
        return executionId;
      };
      const [old, older] = [await make(true, T0 + 100), await make(true, T0 + 50)];
      const others = [await make(true, T0 + 900), await make(true), await make(false, T0 + 100)];
      const released: number[] = [];
      for (let count = 1; count > 0; released.push(count))
        count = await store.releaseEndedTerminals({ endedBefore: T0 + 500, limit: 1 });
      expect(released).toEqual([1, 1, 0]);
      for (const executionId of [old, older]) {
        expect(await store.outputBounds({ executionId, stream: 'stdout' })).toEqual({ start: 6, end: 6 });
        expect(await read(executionId, 0)).toBe('');
      }
      for (const executionId of others) expect(await read(executionId, 0)).toBe('abcdef');
    });

    it('is deleted with its execution', async () => {
      const executionId = await printed();
      await bench().report([record(executionId, 6, 'ended', ended())]);
      expect(await bench().store.deleteFinished({ before: T0 + 1000, limit: 10 })).toBe(1);
      for (let more = true; more; ) more = await bench().store.maintain({ maxBytes: 0 });
      expect(await read(executionId, 0)).toBe('');
    });
  });
}
