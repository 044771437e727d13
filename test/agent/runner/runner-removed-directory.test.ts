import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test, vi } from 'vitest';
import { runnerHere } from '../../helpers/runner-here.ts';
import { attach } from '../../helpers/runner-process.ts';

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

test('a runner whose directory was removed starts no command, and reports the reason', async () => {
  const directory = await runnerHere();
  // Before it is stopped: hooks run in the reverse order.
  onTestFinished(() => renameSync(`${directory}-away`, directory));
  const link = await attach(directory);
  expect((await link.run('before', ['/bin/true'])).ended.status).toBe('succeeded');
  renameSync(directory, `${directory}-away`);
  expect((await link.run('after', ['/bin/true'])).ended).toMatchObject({
    status: 'failed',
    error_code: 'spawn_failed',
    error_message: expect.stringContaining(`(${directory}) was removed`),
  });
});

test('a command that runs while the directory is removed loses no output, and its end is reported', async () => {
  const directory = await runnerHere({ segmentBytes: 65_536 });
  const signals = mkdtempSync(join(tmpdir(), 'execplane-signals-'));
  onTestFinished(() => rmSync(signals, { recursive: true }));
  const link = await attach(directory);
  const script = `echo ready; until [ -e ${signals}/go ]; do sleep 0.02; done; seq 1 200000; echo end >&2`;
  link.start('running', ['/bin/sh', '-c', script], { cwd: '/' });
  await link.printed('running', 'ready');
  rmSync(directory, { recursive: true });
  writeFileSync(join(signals, 'go'), '');
  const { ended, stdout, stderr } = await link.ended('running');
  const numbers = Array.from({ length: 200_000 }, (_, index) => `${index + 1}\n`).join('');
  expect(stdout.toString() === `ready\n${numbers}`).toBe(true);
  expect(stderr.toString()).toBe('end\n');
  expect(ended).toMatchObject({ status: 'succeeded', exit_code: 0 });
});
