/** Starts that the native spawner looks at: what a short command does is reported in one piece, and no start is lost that takes longer. */
import { spawn } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openCgroupPool } from '../../../../src/agent/runner/spawner/cgroups.ts';
import { EVENT, encodePlain, encodeSpawn, FrameReader } from '../../../../src/agent/runner/spawner/frames.ts';
import { prebuiltPath } from '../../../../src/node/native/prebuilt.ts';
import { until } from '../../../helpers/processes.ts';

const MAX_TRIES = 500;
/** Longer than the time after which a start is looked at for the first time. */
const LONG = 'sleep 0.05';

/** A spawner and its events, each with the number of the read that brought it. */
class RawSpawner {
  readonly #program = spawn(prebuiltPath('execplane-spawner'), [], { stdio: ['pipe', 'pipe', 'inherit'], env: {} });
  readonly events: { op: number; handle: number; read: number; payload: Buffer }[] = [];
  #handles = 0;

  constructor() {
    const reader = new FrameReader();
    let read = 0;
    this.#program.stdout.on('data', (chunk: Buffer) => {
      read += 1;
      reader.push(chunk, ({ op, handle, payload }) => this.events.push({ op, handle, read, payload }));
    });
  }

  start(argv: readonly string[], cgroup = ''): number {
    const handle = ++this.#handles;
    const request = { handle, executionId: `quick-${handle}`, argv, home: '/', stdin: 'none', keepBytes: 1e6 } as const;
    const bytes = encodeSpawn({ ...request, env: { PATH: '/usr/bin:/bin' }, tailBytes: 0 }, cgroup);
    if (bytes === undefined) throw new Error('cannot be encoded');
    this.#program.stdin.write(bytes);
    return handle;
  }

  abort(handle: number): void {
    this.#program.stdin.write(encodePlain('abort', handle));
  }

  of(handle: number): RawSpawner['events'] {
    return this.events.filter((event) => event.handle === handle);
  }

  /** Settles with the events of a command once the last one has come. */
  async last(handle: number): Promise<RawSpawner['events']> {
    const isLast = ({ op }: { op: number }): boolean => op === EVENT.exited || op === EVENT.failed;
    await until(`command ${handle} is over`, () => this.of(handle).some(isLast));
    return this.of(handle);
  }

  close(): void {
    this.#program.kill('SIGKILL');
  }
}

describe.runIf(existsSync(prebuiltPath('execplane-spawner')))('a quick start', () => {
  let spawner: RawSpawner;
  const pool = openCgroupPool();
  beforeAll(() => {
    spawner = new RawSpawner();
  });
  afterAll(() => {
    spawner.close();
    pool?.close();
  });

  test('start, output and end of a command that ends at once are one message', async () => {
    for (let tries = 0; tries < MAX_TRIES; tries++) {
      const events = await spawner.last(spawner.start(['echo', 'hello']));
      expect(events.map(({ op }) => op)).toEqual([EVENT.started, EVENT.stdout, EVENT.exited]);
      // On a busy machine a command may take longer than it is waited for.
      if (events[0]?.read === events[2]?.read) return;
    }
    expect.fail(`not once in ${MAX_TRIES} tries`);
  });

  test.each(['true', LONG])('the stream that was written to first comes first (%s)', async (after) => {
    for (const [first, second] of [
      [EVENT.stderr, EVENT.stdout],
      [EVENT.stdout, EVENT.stderr],
    ] as const) {
      const script = first === EVENT.stderr ? 'echo e >&2; echo o' : 'echo o; echo e >&2';
      const events = await spawner.last(spawner.start(['sh', '-c', `${script}; ${after}`]));
      expect(events.map(({ op }) => op)).toEqual([EVENT.started, first, second, EVENT.exited]);
    }
  });

  test('a command that cannot be started is reported as failed', async () => {
    const events = await spawner.last(spawner.start(['no-such-program']));
    expect(events.map(({ op, payload }) => [op, payload[0], payload.readUInt32LE(1)])).toEqual([[EVENT.failed, 4, 2]]);
  });

  // A frozen cgroup holds up the child between clone and execve, for as long as the test wants.
  describe.runIf(pool)('that takes long', () => {
    const frozen = async (): Promise<{ handle: number; thaw: () => void }> => {
      const path = pool?.acquire()?.path ?? '';
      writeFileSync(join(path, 'cgroup.freeze'), '1');
      const handle = spawner.start(['/bin/true'], path);
      const isIn = (): boolean => readFileSync(join(path, 'cgroup.events'), 'utf8').includes('populated 1');
      await until('the child is in its cgroup', isIn);
      return { handle, thaw: () => writeFileSync(join(path, 'cgroup.freeze'), '0') };
    };

    test('is reported once it runs, and delays no other', async () => {
      const { handle, thaw } = await frozen();
      // This one is looked at, too.
      await spawner.last(spawner.start(['sh', '-c', LONG]));
      expect(spawner.of(handle)).toEqual([]);
      thaw();
      expect((await spawner.last(handle)).map(({ op }) => op)).toEqual([EVENT.started, EVENT.exited]);
    });

    test('can be aborted', async () => {
      const { handle, thaw } = await frozen();
      spawner.abort(handle);
      expect((await spawner.last(handle)).map(({ op, payload }) => [op, payload[0]])).toEqual([[EVENT.failed, 6]]);
      thaw();
    });
  });
});
