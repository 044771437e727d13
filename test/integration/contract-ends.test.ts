/** Contract §2: how a command ends or is ended, and the result of the execution. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Deployment } from '../helpers/harness.ts';
import { isAlive, processesWith, until } from '../helpers/processes.ts';

let deployment: Deployment;
beforeAll(async () => {
  deployment = await Deployment.start({ agent: { EXECPLANE_MAX_CONCURRENCY: '8' } });
});
afterAll(() => deployment.dispose());

/** Starts a shell line that prints pids and `ready`. Returns the execution and the pids. */
async function started(line: string, more: { timeout_ms?: number } = {}): Promise<{ id: string; pids: number[] }> {
  const { execution_id: id } = await deployment.machine.create({ command: ['/bin/sh', '-c', line], ...more });
  await deployment.machine.printed(id, 'ready');
  const page = await deployment.machine.page(id);
  const text = page.items.map(({ chunk }) => chunk ?? '').join('');
  return { id, pids: [...text.matchAll(/pid=(\d+)/g)].map((match) => Number(match[1])) };
}

async function expectGone(pids: readonly number[]): Promise<void> {
  expect(pids.length).toBeGreaterThan(0);
  expect(pids.filter(isAlive)).toEqual([]);
}

describe('results', () => {
  test('exit 0 is succeeded', async () => {
    expect(await deployment.machine.sh('exit 0')).toMatchObject({ status: 'succeeded', exit_code: 0 });
  });

  test.each([1, 2, 124, 126, 127, 128, 137, 255])('exit %d is nonzero_exit', async (code) => {
    const execution = await deployment.machine.sh(`exit ${code}`);
    expect(execution).toMatchObject({ status: 'failed', error_code: 'nonzero_exit', exit_code: code });
    expect(execution).not.toHaveProperty('signal');
  });

  test.each([1, 2, 6, 9, 11, 13, 15, 31, 34, 40, 64])('death by signal %d is signaled', async (signal) => {
    const execution = await deployment.machine.sh(`kill -${signal} $$; sleep 5`);
    expect(execution).toMatchObject({ status: 'failed', error_code: 'signaled', signal });
    expect(execution).not.toHaveProperty('exit_code');
  });
});

describe('timeout_ms', () => {
  test('a timeout sends SIGKILL to the whole process tree: timeout, signal 9', async () => {
    const { id, pids } = await started(
      'trap "" TERM; sleep 600 & echo pid=$!; setsid sleep 600 & echo pid=$!; (setsid sh -c "echo pid=\\$\\$; exec sleep 600" &); sleep 0.2; echo ready; wait',
      { timeout_ms: 1500 },
    );
    const execution = await deployment.machine.ended(id);
    expect(execution).toMatchObject({ status: 'expired', error_code: 'execution_timed_out', signal: 9 });
    expect(pids.length).toBe(3);
    await expectGone(pids);
    const ran = Date.parse(execution.completed_at ?? '') - Date.parse(execution.started_at ?? '');
    expect(ran).toBeGreaterThanOrEqual(1400);
    expect(ran).toBeLessThan(10_000);
  });

  test('0 means no limit', async () => {
    expect(await deployment.machine.sh('sleep 0.3', { timeout_ms: 0 })).toMatchObject({ status: 'succeeded' });
  });

  test.each([2 ** 31, 2 ** 31 + 1000, 2 ** 32, 1e15])('%d does not fire at once', async (timeout_ms) => {
    expect(await deployment.machine.sh('sleep 0.2', { timeout_ms })).toMatchObject({ status: 'succeeded' });
  });

  test('the timeout counts from the start of the process, not from the wait for a slot', async () => {
    const blockers = await Promise.all(Array.from({ length: 8 }, () => started('echo ready; exec sleep 600')));
    const waiting = await deployment.machine.create({ command: ['/bin/sh', '-c', 'sleep 0.1'], timeout_ms: 900 });
    const state = await deployment.machine.read(waiting.execution_id, { wait_ms: 1200 });
    expect(state.status).toBe('queued');
    await Promise.all(blockers.map(({ id }) => deployment.machine.cancel(id, { wait_ms: 20_000 })));
    expect(await deployment.machine.ended(waiting.execution_id)).toMatchObject({ status: 'succeeded' });
  });
});

describe('cancelling', () => {
  test('a running command gets SIGTERM in its whole process group, and its exit_code is recorded', async () => {
    const { id } = await started('trap "echo bye; exit 5" TERM; echo ready; while :; do sleep 0.05; done');
    const execution = await deployment.machine.cancel(id, { wait_ms: 20_000 });
    expect(execution).toMatchObject({ status: 'cancelled', error_code: 'cancelled', exit_code: 5 });
    expect((await deployment.machine.output(id)).stdout).toBe('ready\nbye\n');
  });

  test('a running command that SIGTERM ends is cancelled with that signal', async () => {
    const { id } = await started('echo ready; exec sleep 600');
    const execution = await deployment.machine.cancel(id, { wait_ms: 20_000 });
    expect(execution).toMatchObject({ status: 'cancelled', error_code: 'cancelled', signal: 15 });
    expect(execution).not.toHaveProperty('exit_code');
  });

  test('the whole tree gets SIGKILL after the grace, setsid and double-forked descendants too', async () => {
    const ignoring = 'trap "" TERM; exec sleep 600';
    const { id, pids } = await started(
      `trap "" TERM; echo pid=$$; setsid sh -c '${ignoring}' & echo pid=$!; (setsid sh -c 'trap "" TERM; echo pid=$$; exec sleep 600' &); sleep 0.3; echo ready; while :; do sleep 0.1; done`,
    );
    const execution = await deployment.machine.cancel(id, { wait_ms: 30_000 });
    expect(execution).toMatchObject({ status: 'cancelled', signal: 9 });
    expect(pids.length).toBe(3);
    await expectGone(pids);
    const ran = Date.parse(execution.completed_at ?? '') - Date.parse(execution.started_at ?? '');
    expect(ran).toBeGreaterThanOrEqual(4900);
  });

  test('descendants are killed even if the main process exits on SIGTERM at once', async () => {
    const { id, pids } = await started(
      'setsid sh -c \'trap "" TERM; exec sleep 600\' & echo pid=$!; sleep 0.2; echo ready; exec sleep 600',
    );
    expect(await deployment.machine.cancel(id, { wait_ms: 30_000 })).toMatchObject({ status: 'cancelled' });
    await expectGone(pids);
  });

  test('a descendant that cleared its environment and left its session is killed as well', async () => {
    const { id, pids } = await started(
      "setsid env -i /bin/sh -c 'echo pid=$$; exec /bin/sleep 600' & sleep 0.3; echo ready; wait",
    );
    expect(await deployment.machine.cancel(id, { wait_ms: 30_000 })).toMatchObject({ status: 'cancelled' });
    await expectGone(pids);
  });

  test('a fork storm that ignores SIGTERM is killed as well', async () => {
    const storm =
      'trap "" TERM; n=0; while [ $n -lt 150 ]; do (setsid sleep 600 &) ; n=$((n+1)); done; echo ready; while :; do (sleep 0.01 &); sleep 0.01; done';
    const { id } = await started(storm);
    expect(await deployment.machine.cancel(id, { wait_ms: 40_000 })).toMatchObject({ status: 'cancelled', signal: 9 });
    expect(processesWith(`EXECUTION_ID=${id}`)).toEqual([]);
  });

  test('an execution that has not started is cancelled at once', async () => {
    const blockers = await Promise.all(Array.from({ length: 8 }, () => started('echo ready; exec sleep 600')));
    const { execution_id } = await deployment.machine.create({ command: ['/bin/true'] });
    const execution = await deployment.machine.cancel(execution_id);
    expect(execution).toMatchObject({ status: 'cancelled', error_code: 'cancelled' });
    expect(execution).not.toHaveProperty('started_at');
    await Promise.all(blockers.map(({ id }) => deployment.machine.cancel(id, { wait_ms: 20_000 })));
  });

  test('a cancel after the end, and a repeated cancel, change nothing', async () => {
    const ended = await deployment.machine.sh('exit 3');
    expect(await deployment.machine.cancel(ended.execution_id)).toEqual(ended);
    const { id } = await started('echo ready; exec sleep 600');
    const [one, two] = await Promise.all([
      deployment.machine.cancel(id, { wait_ms: 20_000 }),
      deployment.machine.cancel(id, { wait_ms: 20_000 }),
    ]);
    expect(one).toEqual(two);
    const log = await deployment.machine.events(id);
    expect(log.filter(({ status }) => status === 'cancelled').length).toBe(1);
  });

  test('a cancel that races the natural end leaves exactly one terminal status', async () => {
    const rounds = Array.from({ length: 40 }, async (_, n) => {
      const { execution_id } = await deployment.machine.create({ command: ['/bin/sh', '-c', `sleep 0.0${n % 10}`] });
      if (n % 3 !== 0) await deployment.machine.read(execution_id, { wait_ms: n * 2 });
      await deployment.machine.cancel(execution_id);
      const execution = await deployment.machine.ended(execution_id);
      const ends = (await deployment.machine.events(execution_id)).filter(
        ({ status }) => status === 'succeeded' || status === 'cancelled' || status === 'failed',
      );
      expect(ends.length).toBe(1);
      expect(ends[0]?.status).toBe(execution.status);
      expect(execution.status).toBeOneOf(['succeeded', 'cancelled']);
    });
    await Promise.all(rounds);
  });
});

describe('the end is the main process’s exit', () => {
  test('a background child that holds stdout does not delay the end', async () => {
    const execution = await deployment.machine.sh('sleep 600 & echo pid=$!; echo done');
    expect(execution).toMatchObject({ status: 'succeeded' });
    const { stdout } = await deployment.machine.output(execution.execution_id);
    const pid = Number(/pid=(\d+)/.exec(stdout)?.[1]);
    expect(isAlive(pid)).toBe(true);
    process.kill(pid);
    await until('it is gone', () => !isAlive(pid));
  });

  test('all output written before the exit is recorded, two hundred times', async () => {
    const lines = Array.from({ length: 200 }, async () => {
      const { execution_id } = await deployment.machine.run({ command: ['/bin/echo', 'x'.repeat(100)] });
      expect((await deployment.machine.output(execution_id)).stdout).toBe(`${'x'.repeat(100)}\n`);
    });
    await Promise.all(lines);
  });
});

describe('waiting for a start', () => {
  test('executions are queued until a slot is free, and start oldest first', async () => {
    await deployment.join('dm-narrow', { EXECPLANE_MAX_CONCURRENCY: '1' });
    const narrow = deployment.client.machine('dm-narrow');
    const blocker = await narrow.create({ command: ['/bin/sh', '-c', 'echo ready; exec sleep 600'] });
    await narrow.printed(blocker.execution_id, 'ready');
    const waiting = [];
    for (let n = 0; n < 12; n += 1) waiting.push(await narrow.create({ command: ['/bin/true'] }));
    expect(waiting.map(({ status }) => status)).toEqual(waiting.map(() => 'queued'));
    await narrow.cancel(blocker.execution_id);
    const ended = await Promise.all(waiting.map(({ execution_id }) => narrow.ended(execution_id)));
    const starts = ended.map(({ started_at }) => started_at ?? '');
    expect(starts).toEqual(starts.toSorted());
  });

  test('an execution that has not started by expires_at is expired', async () => {
    await deployment.joinToken({ machine_id: 'dm-absent' });
    const absent = deployment.client.machine('dm-absent');
    const execution = await absent.run({ command: ['/bin/true'], start_within_ms: 300 });
    expect(execution).toMatchObject({ status: 'expired', error_code: 'start_timed_out' });
    expect(Date.parse(execution.completed_at ?? '')).toBeGreaterThanOrEqual(Date.parse(execution.expires_at));
    const log = await absent.events(execution.execution_id);
    expect(log.map(({ status }) => status)).toEqual(['wake_in_progress', 'expired']);
  });

  test('start_within_ms sets expires_at', async () => {
    const { created_at, expires_at } = await deployment.machine.create({
      command: ['/bin/true'],
      start_within_ms: 12_345,
    });
    expect(Date.parse(expires_at) - Date.parse(created_at)).toBe(12_345);
  });
});
