import { execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import { sharedRunner } from '../../../helpers/runner-process.ts';

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const linked = sharedRunner();
const sh = (script: string) => ['/bin/sh', '-c', script];

test('no stdin is an immediate end-of-file', async () => {
  const { link } = await linked();
  expect((await link.run('a', ['/bin/cat'])).ended).toMatchObject({ status: 'succeeded', stdout_bytes: 0 });
  expect((await link.run('b', ['/bin/cat'], {}, Buffer.alloc(0))).ended).toMatchObject({ status: 'succeeded' });
});

test('50 MB of stdin do no harm to a command that does not read, or stops reading', async () => {
  const { link, directory } = await linked();
  const bytes = Buffer.alloc(50 << 20, 'x');
  expect((await link.run('never', sh('exit 3'), {}, bytes)).ended).toMatchObject({ exit_code: 3 });
  const early = await link.run('early', sh('head -c 10; exit 4'), {}, bytes.subarray(0, 5 << 20));
  expect(early.ended).toMatchObject({ exit_code: 4, stdout_bytes: 10 });
  expect(readdirSync(directory).filter((name) => name.includes('stdin'))).toEqual([]);
});

test('a large stdin arrives complete', async () => {
  const { link } = await linked();
  const bytes = Buffer.alloc(3_000_001, 'abcdefg');
  const { stdout } = await link.run('a', ['/usr/bin/cksum'], {}, bytes);
  expect(stdout.toString()).toMatch(/ 3000001\n$/);
});

test('repeated pieces of a live stdin are written once', async () => {
  const { link } = await linked();
  link.start('a', ['/bin/cat'], { stdin: 'open' });
  const piece = (offset: number, text: string, close = false) =>
    link.send({ type: 'stdin', execution_id: 'a', offset, close }, Buffer.from(text));
  piece(0, 'hello ');
  piece(0, 'hello ');
  piece(3, 'lo wor');
  piece(50, 'behind a gap');
  await link.printed('a', 'hello wor');
  piece(9, 'ld\n', true);
  piece(9, 'ld\n', true);
  const { stdout, ended } = await link.ended('a');
  expect(stdout.toString()).toBe('hello world\n');
  expect(ended.status).toBe('succeeded');
  await link.until('the last acknowledgement', () =>
    link.frames.some((frame) => frame.type === 'stdin_ack' && frame.offset === 12 && frame.closed),
  );
});

test('each writer of a live stdin has positions of its own: what one sends again is written once, whatever others wrote meanwhile', async () => {
  const { link } = await linked();
  link.start('a', ['/bin/cat'], { stdin: 'open' });
  const [first, second] = ['first-writer-0000', 'second-writer-000'];
  const piece = (id: string, offset: number, text: string) =>
    link.send({ type: 'stdin', execution_id: 'a', offset: 0, close: false, writer: { id, offset } }, Buffer.from(text));
  piece(first, 0, 'one ');
  piece(second, 70, 'two ');
  piece(first, 0, 'one three ');
  piece(second, 99, 'after a gap');
  piece(second, 70, 'two four\n');
  await link.printed('a', 'four');
  const positions = link.frames.flatMap((frame) => (frame.type === 'stdin_ack' && frame.writer ? [frame.writer] : []));
  expect(positions).toEqual([
    { id: first, offset: 4, end: 4 },
    { id: second, offset: 74, end: 8 },
    { id: first, offset: 10, end: 14 },
    { id: second, offset: 74, end: 8 },
    { id: second, offset: 79, end: 19 },
  ]);
  link.send({ type: 'stdin', execution_id: 'a', offset: 19, close: true }, Buffer.alloc(0));
  expect((await link.ended('a')).stdout.toString()).toBe('one two three four\n');
});

test('two writes of a live stdin that wait at once keep their order, and both arrive whole', async () => {
  const { link, directory } = await linked();
  const gate = join(directory, 'gate');
  execFileSync('mkfifo', [gate]);
  link.start('a', ['/bin/sh', '-c', 'echo ready; read line < "$0"; exec cat', gate], { stdin: 'open' });
  await link.printed('a', 'ready');
  const [first, second] = [Buffer.alloc(1_800_000, 'first '), Buffer.alloc(300_000, 'second ')];
  link.send({ type: 'stdin', execution_id: 'a', offset: 0, close: false }, first);
  link.send({ type: 'stdin', execution_id: 'a', offset: first.length, close: true }, second);
  // The pipe is full: the rest of the first write waits, and the second behind it.
  const taken = await link.frame('stdin_ack');
  expect(taken.offset).toBeLessThan(first.length);
  await writeFile(gate, 'go\n');
  const { stdout } = await link.ended('a');
  expect(stdout.equals(Buffer.concat([Buffer.from('ready\n'), first, second]))).toBe(true);
});

test('a live stdin is acknowledged only as far as it was written', async () => {
  const { link } = await linked();
  link.start('a', sh('echo ready; sleep 0.2; wc -c'), { stdin: 'open' });
  await link.printed('a', 'ready');
  const size = 5 << 20;
  link.send({ type: 'stdin', execution_id: 'a', offset: 0, close: true }, Buffer.alloc(size));
  const first = await link.frame('stdin_ack');
  expect(first.offset).toBeLessThan(size);
  const { stdout } = await link.ended('a');
  expect(Number(stdout.toString().split('\n')[1])).toBe(size);
});
