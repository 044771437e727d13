import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import { temporaryDirectory } from '../../../helpers/directories.ts';
import { isAlive, processesWith, until } from '../../../helpers/processes.ts';
import { sharedRunner } from '../../../helpers/runner-process.ts';

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const linked = sharedRunner();
const sh = (script: string) => ['/bin/sh', '-c', script];
/** The fields of the start of a terminal. */
const SHELL = { tty: { width: 80, height: 24 }, login_shell: true, stdin: 'open' } as const;

/** Writes a shell that runs a script. Returns its path. */
function shell(script: string): string {
  const path = join(temporaryDirectory('shell'), 'shell');
  writeFileSync(path, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  return path;
}

const cancel = (executionId: string, graceMs = 10_000) =>
  ({ type: 'cancel', execution_id: executionId, grace_ms: graceMs }) as const;

test('a cancel ends the command by SIGTERM; a repeated or late one changes nothing', async () => {
  const { link } = await linked();
  link.start('a', ['/bin/sleep', '60']);
  await link.started('a');
  link.send(cancel('a'));
  link.send(cancel('a'));
  const { ended } = await link.ended('a');
  expect(ended).toMatchObject({ status: 'cancelled', error_code: 'cancelled', signal: 15 });
  link.send(cancel('a'));
  link.send(cancel('nobody'));
  await link.run('b', ['/bin/true']);
  expect(link.reported('a').records).toHaveLength(2);
});

test('a command that cleans up on SIGTERM is cancelled with its exit code', async () => {
  const { link } = await linked();
  link.start('a', sh('trap "echo bye; exit 9" TERM; echo ready; while :; do sleep 0.05; done'));
  await link.printed('a', 'ready');
  link.send(cancel('a'));
  const { ended, stdout } = await link.ended('a');
  expect(ended).toMatchObject({ status: 'cancelled', exit_code: 9 });
  expect(stdout.toString()).toContain('bye');
});

test('a command that ignores SIGTERM gets SIGKILL after the grace', async () => {
  const { link } = await linked();
  link.start('a', sh('trap "" TERM; echo ready; while :; do sleep 0.05; done'));
  await link.printed('a', 'ready');
  link.send(cancel('a', 100));
  expect((await link.ended('a')).ended).toMatchObject({ status: 'cancelled', signal: 9 });
});

test('the shell of a terminal is closed by SIGHUP, never by SIGTERM; a command on a terminal gets both', async () => {
  const { link } = await linked();
  const script = (onHangup: string) =>
    `trap "${onHangup}" HUP; trap "echo sigterm; exit 4" TERM; echo ready; while :; do sleep 0.05; done`;
  link.start('shell', [shell(script('echo sighup; exit 3'))], SHELL);
  link.start('stubborn', [shell(script(''))], SHELL);
  link.start('command', sh(script('')), { tty: SHELL.tty });
  for (const id of ['shell', 'stubborn', 'command']) await link.printed(id, 'ready');
  link.send(cancel('shell', 60_000));
  link.send(cancel('stubborn', 500));
  link.send(cancel('command', 60_000));
  const closed = await link.ended('shell');
  expect(closed.ended).toMatchObject({ status: 'cancelled', exit_code: 3 });
  expect(closed.stdout.toString()).toContain('sighup');
  expect(closed.stdout.toString()).not.toContain('sigterm');
  const killed = await link.ended('stubborn');
  expect(killed.ended).toMatchObject({ status: 'cancelled', signal: 9 });
  expect(killed.stdout.toString()).not.toContain('sigterm');
  expect((await link.ended('command')).ended).toMatchObject({ status: 'cancelled', exit_code: 4 });
});

test('the shell of a terminal that is stopped is closed as well', async () => {
  const { link } = await linked();
  link.start('stopped', [shell('kill -STOP $$; exec sleep 60')], SHELL);
  const pid = await link.started('stopped');
  await until('it is stopped', () => /^State:\tT/m.test(readFileSync(`/proc/${pid}/status`, 'latin1')));
  link.send(cancel('stopped', 60_000));
  expect((await link.ended('stopped')).ended).toMatchObject({ status: 'cancelled', signal: 1 });
});

test('descendants that left the group and the session are killed before the end is reported', async () => {
  const { link } = await linked();
  const script = 'setsid sh -c "trap \\"\\" TERM HUP; echo ready; while :; do sleep 0.05; done" & wait';
  link.start('tree-1', sh(script));
  await link.printed('tree-1', 'ready');
  link.send(cancel('tree-1', 200));
  expect((await link.ended('tree-1')).ended).toMatchObject({ status: 'cancelled', signal: 15 });
  expect(processesWith('EXECUTION_ID=tree-1')).toEqual([]);
});

test('a timeout that passes while the command starts sends SIGKILL too, never SIGTERM', async () => {
  const { link } = await linked();
  const ids = Array.from({ length: 60 }, (_, at) => `short-${at}`);
  for (const [at, id] of ids.entries()) link.start(id, ['/bin/sleep', '60'], { timeout_ms: 1 + (at % 6) });
  const ends = await Promise.all(ids.map(async (id) => (await link.ended(id)).ended));
  for (const ended of ends) expect(ended).toMatchObject({ status: 'failed', error_code: 'timeout' });
  expect(ends.map(({ signal = 9 }) => signal)).toEqual(ends.map(() => 9));
});

test('a timeout kills the whole tree, also of a command that never prints', async () => {
  const { link } = await linked();
  link.start('t-1', sh('trap "" TERM; setsid sleep 50 & sleep 50'), { timeout_ms: 150 });
  const { ended } = await link.ended('t-1');
  expect(ended).toMatchObject({ status: 'failed', error_code: 'timeout', signal: 9 });
  expect(ended).not.toHaveProperty('exit_code');
  expect(processesWith('EXECUTION_ID=t-1')).toEqual([]);
});

test('a timeout past 2^31 ms does not fire', async () => {
  const { link } = await linked();
  const { ended } = await link.run('a', ['/bin/sleep', '0.1'], { timeout_ms: 2 ** 31 + 50 });
  expect(ended.status).toBe('succeeded');
});

test('the first cause wins: a timeout during a cancel only makes the kill faster', async () => {
  const { link } = await linked();
  link.start('a', sh('trap "" TERM; echo ready; while :; do sleep 0.05; done'), { timeout_ms: 400 });
  await link.printed('a', 'ready');
  link.send(cancel('a', 3_600_000));
  expect((await link.ended('a')).ended).toMatchObject({ status: 'cancelled', signal: 9 });
});

test('a cancel that races the natural end gives exactly one end, and no cancel after the end', async () => {
  const { link } = await linked();
  for (let i = 0; i < 60; i++) {
    const id = `r${i}`;
    link.start(id, sh('exit 5'));
    if (i % 3 > 0) await link.started(id);
    if (i % 3 > 1) await new Promise((resolve) => setTimeout(resolve, i / 30));
    link.send(cancel(id));
    const { ended, records } = await link.ended(id);
    expect(records.filter(({ kind }) => kind === 4)).toHaveLength(1);
    if (ended.status === 'cancelled') expect(ended.error_code).toBe('cancelled');
    else expect(ended).toMatchObject({ error_code: 'nonzero_exit', exit_code: 5 });
  }
});

test('executions wait for a slot in order, and are cancelled at once without a start', async () => {
  const { link } = await linked();
  for (let i = 0; i < 64; i++) link.start(`slot${i}`, sh('read x'), { stdin: 'open' });
  link.start('first', ['/bin/echo', '1']);
  link.start('second', ['/bin/echo', '2']);
  link.start('third', ['/bin/echo', '3']);
  for (let i = 0; i < 64; i++) await link.started(`slot${i}`);
  link.send(cancel('second'));
  const { ended, started } = await link.ended('second');
  expect(ended).toMatchObject({ status: 'cancelled', error_code: 'cancelled', stdout_bytes: 0 });
  expect(started).toBe(false);
  expect(link.records.has('first')).toBe(false);
  link.send({ type: 'stdin', execution_id: 'slot0', offset: 0, close: true });
  const first = await link.ended('first');
  const third = await link.ended('third');
  expect(first.records[0]?.at).toBeLessThanOrEqual(third.records[0]?.at ?? 0);
});

test('a signal reaches the group by name, and is ignored after the end', async () => {
  const { link } = await linked();
  link.start('a', sh('trap "echo got; exit 0" HUP; echo ready; while :; do sleep 0.05; done'));
  await link.printed('a', 'ready');
  link.send({ type: 'signal', execution_id: 'a', signal: 'SIGNONE' });
  link.send({ type: 'signal', execution_id: 'a', signal: 'SIGHUP' });
  expect((await link.ended('a')).stdout.toString()).toContain('got');
  link.send({ type: 'signal', execution_id: 'a', signal: 'SIGHUP' });
  await link.run('b', ['/bin/true']);
});

test('a forgotten command is killed, and reports nothing more', async () => {
  const { link } = await linked();
  link.start('f-1', sh('trap "" TERM; echo ready; while :; do echo x; sleep 0.02; done'));
  await link.printed('f-1', 'ready');
  const pid = await link.started('f-1');
  link.send({ type: 'forget', execution_ids: ['f-1', 'unknown'] });
  const { held } = await link.prepare();
  expect(held).toEqual([]);
  link.welcome();
  await expect.poll(() => isAlive(pid)).toBe(false);
  await link.run('b', ['/bin/true']);
  expect(link.reported('f-1').ended).not.toHaveProperty('status');
});
