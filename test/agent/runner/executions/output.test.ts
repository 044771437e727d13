import { createHash } from 'node:crypto';
import { expect, test, vi } from 'vitest';
import { REPORT_KIND } from '../../../../src/core/report.ts';
import { isAlive } from '../../../helpers/processes.ts';
import { sharedRunner } from '../../../helpers/runner-process.ts';
import type { Reported } from '../../../helpers/test-link.ts';

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const linked = sharedRunner();
const sh = (script: string) => ['/bin/sh', '-c', script];
const node = (script: string) => [process.execPath, '-e', script];

test('commands that end at once lose none of their output', async () => {
  const { link } = await linked();
  for (let i = 0; i < 100; i++) link.start(`e${i}`, sh(`echo ${i}; echo ${i} >&2`));
  for (let i = 0; i < 100; i++) {
    const { stdout, stderr } = await link.ended(`e${i}`);
    expect(`${stdout}${stderr}`).toBe(`${i}\n${i}\n`);
  }
});

test('a background child that holds stdout does not delay the end, keeps running and gets no SIGPIPE', async () => {
  const { link } = await linked();
  const script = '(trap "" HUP; while sleep 0.05; do echo late; done) & echo $!; exit 0';
  const { stdout, ended } = await link.run('a', sh(script));
  const pid = Number(stdout.toString().split('\n')[0]);
  expect(ended).toMatchObject({ status: 'succeeded' });
  try {
    await link.run('b', ['/bin/sleep', '0.3']); // long enough for several writes of the other command
    expect(isAlive(pid)).toBe(true);
  } finally {
    process.kill(pid, 'SIGKILL');
  }
});

test('output is byte-exact: NUL, invalid UTF-8, and megabytes in one line', async () => {
  const { link } = await linked();
  const bytes = Buffer.from(Uint8Array.from({ length: 5_000_003 }, (_, i) => (i * 7) & 0xff));
  const { stdout, ended } = await link.run('a', ['/bin/cat'], {}, bytes);
  expect(digest(stdout)).toBe(digest(bytes));
  expect(ended).toMatchObject({ stdout_bytes: bytes.length, stdout_truncated: false });
});

test('a chunk never splits a character, however the writes split it', async () => {
  const { link } = await linked();
  const text = 'aé€😀'.repeat(30_000);
  const script = `
    const bytes = Buffer.from(${JSON.stringify('aé€😀')}.repeat(30000));
    for (let at = 0; at < bytes.length; at += 997) require('fs').writeSync(1, bytes.subarray(at, at + 997));`;
  const { records } = await link.run('a', node(script));
  const chunks = records.filter(({ kind }) => kind === 2).map(({ payload }) => payload);
  for (const chunk of chunks) expect(chunk.toString('utf8')).not.toContain('\ufffd');
  expect(Buffer.concat(chunks).toString('utf8')).toBe(text);
});

test('an incomplete character is emitted on its own after a while, and at the end', async () => {
  const { link } = await linked();
  link.start('a', sh("printf 'x\\303'; read line"), { stdin: 'open' });
  await link.printed('a', 'x');
  expect(link.output('a', 'stdout')).toEqual(Buffer.from('x'));
  await link.until('the byte held back', () => link.output('a', 'stdout').length === 2);
  link.send({ type: 'stdin', execution_id: 'a', offset: 0, close: true });
  expect((await link.ended('a')).stdout).toEqual(Buffer.from([0x78, 0xc3]));
  expect((await link.run('b', sh("printf 'x\\303'"))).stdout).toEqual(Buffer.from([0x78, 0xc3]));
});

test('bytes above the cap are only counted, and the command keeps running', async () => {
  const { link } = await linked();
  const { stdout, stderr, ended } = await link.run('a', sh('head -c 3000000 /dev/zero; echo end >&2'), {
    max_output_bytes: 100_000,
  });
  expect(stdout).toHaveLength(100_000);
  expect(stderr.toString()).toBe('end\n');
  expect(ended).toMatchObject({
    status: 'succeeded',
    stdout_bytes: 3_000_000,
    stdout_truncated: true,
    stderr_bytes: 4,
    stderr_truncated: false,
  });
});

test('the cap does not split a character, and output of exactly that length is complete', async () => {
  const { link } = await linked();
  const split = await link.run('split', sh('printf aa€€'), { max_output_bytes: 7 });
  expect(split.stdout.toString()).toBe('aa€');
  expect(split.ended).toMatchObject({ stdout_bytes: 8, stdout_truncated: true });
  const exact = await link.run('exact', sh('printf aa€€'), { max_output_bytes: 8 });
  expect(exact.stdout.toString()).toBe('aa€€');
  expect(exact.ended).toMatchObject({ stdout_truncated: false });
  const none = await link.run('none', sh('printf a'), { max_output_bytes: 0 });
  expect(none.ended).toMatchObject({ stdout_bytes: 1, stdout_truncated: true });
});

test('the tail of output above the cap is reported on request, before the end of the command', async () => {
  const { link } = await linked();
  const asked = { max_output_bytes: 7, tail_bytes: 65_536 };
  const short = await link.run('short', sh('printf aa€€bcdef; printf 12345678 >&2'), asked);
  expect([short.stdout.toString(), tailOf(short)?.toString()]).toEqual(['aa€', '€bcdef']);
  expect([short.stderr.toString(), tailOf(short, 'stderr')?.toString()]).toEqual(['1234567', '8']);
  const long = await link.run('long', sh('seq 1 100000'), asked);
  const whole = Buffer.from(Array.from({ length: 100_000 }, (_, index) => `${index + 1}\n`).join(''));
  expect(tailOf(long)?.equals(whole.subarray(-65_536))).toBe(true);
  expect(long.records.at(-1)?.kind).toBe(REPORT_KIND.ended);
  expect(tailOf(await link.run('whole', sh('printf 1234567'), asked))).toBeUndefined();
  expect(tailOf(await link.run('unasked', sh('seq 1 100000'), { max_output_bytes: 7 }))).toBeUndefined();
});

test('output above the cap is reported as progress from time to time', async () => {
  const { link } = await linked();
  link.start('a', sh('while :; do head -c 100000 /dev/zero; sleep 0.05; done'), { max_output_bytes: 10 });
  await link.until('a progress report', () => link.records.get('a')?.some(({ kind }) => kind === 5) === true);
  link.send({ type: 'cancel', execution_id: 'a', grace_ms: 1000 });
  const { records, ended } = await link.ended('a');
  const progress = records.filter(({ kind }) => kind === 5).map(({ payload }) => JSON.parse(payload.toString()));
  expect(ended.stdout_bytes).toBeGreaterThanOrEqual(progress.at(-1).stdout_bytes);
});

function tailOf({ records }: Reported, stream: 'stdout' | 'stderr' = 'stdout'): Buffer | undefined {
  return records.find(({ kind }) => kind === REPORT_KIND[`${stream}_tail`])?.payload;
}

function digest(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}
