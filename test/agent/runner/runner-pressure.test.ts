import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import { Segment } from '../../../src/agent/runner/journal/segment.ts';
import { until } from '../../helpers/processes.ts';
import { runnerHere } from '../../helpers/runner-here.ts';
import { attach } from '../../helpers/runner-process.ts';

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

test('on a full disk the runner accepts no new work, output waits, nothing is lost, and it continues by itself', async () => {
  const directory = await runnerHere({ diskRetryMs: 20 });
  const link = await attach(directory);
  link.start('a', ['/bin/sh', '-c', 'echo ready; read x; seq 1 50000'], { stdin: 'open' });
  await link.printed('a', 'ready');
  let tries = 0;
  vi.spyOn(Segment.prototype, 'append').mockImplementation(() => {
    tries++;
    throw Object.assign(new Error('no space'), { code: 'ENOSPC' });
  });
  link.send({ type: 'stdin', execution_id: 'a', offset: 0, close: true });
  expect(await link.frame('capacity')).toEqual({ type: 'capacity', accepting: false, reason: 'disk_full' });
  link.start('b', ['/bin/echo', 'b']);
  await until('some tries', () => tries > 5);
  expect(link.records.has('b')).toBe(false);
  vi.restoreAllMocks();
  expect(await link.frame('capacity')).toEqual({ type: 'capacity', accepting: true });
  const { stdout, ended } = await link.ended('a');
  expect(stdout.toString().split('\n')).toHaveLength(50_002);
  expect(ended.status).toBe('succeeded');
  expect((await link.ended('b')).stdout.toString()).toBe('b\n');
});

test('after a reconnection on a full disk, the reports on disk are sent: their acknowledgement frees room', async () => {
  const directory = await runnerHere({ diskRetryMs: 20 });
  const link = await attach(directory);
  link.autoAck = false;
  const gate = join(directory, 'gate');
  link.start('a', ['/bin/sh', '-c', 'echo ready; until [ -e "$0" ]; do sleep 0.02; done; seq 1 50000', gate]);
  await link.printed('a', 'ready');
  await link.close();
  let tries = 0;
  vi.spyOn(Segment.prototype, 'append').mockImplementation(() => {
    tries++;
    throw Object.assign(new Error('no space'), { code: 'ENOSPC' });
  });
  await writeFile(gate, '');
  await until('a write that fails', () => tries > 0);
  const next = await attach(directory);
  await next.printed('a', 'ready');
  vi.restoreAllMocks();
  const { stdout, ended } = await next.ended('a');
  expect(stdout.toString().split('\n')).toHaveLength(50_002);
  expect(ended.status).toBe('succeeded');
});

test('commands wait while the journal is above its quota, and continue as acknowledgements free space', async () => {
  const directory = await runnerHere({ quotaBytes: 1 << 20, segmentBytes: 128 << 10 });
  const link = await attach(directory);
  link.autoAck = false;
  link.start('a', ['/bin/sh', '-c', 'head -c 20000000 /dev/zero'], { max_output_bytes: 30 << 20 });
  await link.started('a');
  await link.close();
  const next = await attach(directory, {}, 64);
  const { stdout, ended } = await next.ended('a');
  expect(stdout).toHaveLength(20_000_000);
  expect(ended).toMatchObject({ stdout_bytes: 20_000_000, stdout_truncated: false });
});

test('the journal stops growing at its quota', async () => {
  const directory = await runnerHere({ quotaBytes: 1 << 20, segmentBytes: 128 << 10 });
  const link = await attach(directory);
  link.autoAck = false;
  link.start('a', ['/bin/cat', '/dev/zero'], { max_output_bytes: 1 << 30 });
  const reported = async () => (await link.prepare()).held[0]?.reported ?? 0;
  await link.started('a');
  await until('it stands still', async () => {
    const before = await reported();
    await link.prepare();
    return before > 10 && before === (await reported());
  });
  expect(await reported()).toBeLessThan(200);
});
