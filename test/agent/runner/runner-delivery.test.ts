import { existsSync } from 'node:fs';
import { expect, test, vi } from 'vitest';
import { until } from '../../helpers/processes.ts';
import { agentDirectory, attach, linkedRunner, startRunner } from '../../helpers/runner-process.ts';
import { TestLink } from '../../helpers/test-link.ts';

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const sh = (script: string) => ['/bin/sh', '-c', script];

test('a start that is delivered twice runs once; a late one and one for another instance never run', async () => {
  const { link, directory } = await linkedRunner();
  const count = sh(`echo x >> ${directory}/count`);
  link.start('a', count);
  const state = link.state;
  if (state === undefined) throw new Error('no state');
  link.start('a', count, { dispatch_number: state.last_dispatch_number });
  await link.ended('a');
  link.start('a', count, { dispatch_number: 1 });
  link.start('late', count, { dispatch_number: 1 });
  link.start('foreign', count, { runner_instance: 'somebody-else', dispatch_number: 1000 });
  link.start('last', ['/bin/cat', `${directory}/count`], { dispatch_number: 500 });
  expect((await link.ended('last')).stdout.toString()).toBe('x\n');
  expect((await link.prepare()).last_dispatch_number).toBe(500);
});

test('a second link is refused while the first is open, and accepted after it', async () => {
  const { link, directory } = await linkedRunner();
  const second = await TestLink.open(directory);
  second.send({ type: 'attach', channel: 1, max_concurrency: 1 });
  expect(await second.frame('attach_refused')).toMatchObject({ reason: expect.stringContaining('another link') });
  await link.close();
  const third = await attach(directory);
  expect((await third.run('a', ['/bin/true'])).ended.status).toBe('succeeded');
});

test('another version of the channel is refused', async () => {
  const directory = agentDirectory();
  await startRunner(directory);
  const link = await TestLink.open(directory);
  link.send({ type: 'attach', channel: 2 as 1, max_concurrency: 1 });
  expect(await link.frame('attach_refused')).toMatchObject({ reason: expect.stringContaining('version') });
  await link.close();
});

test("garbage on the socket ends only the sender's connection", async () => {
  const { link, directory } = await linkedRunner();
  link.start('a', sh('read x; echo $x'), { stdin: 'open' });
  await link.started('a');
  const other = await TestLink.open(directory);
  other.send(Buffer.alloc(64, 0xff) as never);
  await other.close();
  link.send({ type: 'stdin', execution_id: 'a', offset: 0, close: true }, Buffer.from('hi\n'));
  expect((await link.ended('a')).stdout.toString()).toBe('hi\n');
});

test('unacknowledged reports are sent again to the next link, byte for byte; acknowledged ones are not', async () => {
  const { link, directory } = await linkedRunner();
  link.autoAck = false;
  link.start('a', sh('seq 1 200000'));
  const { records } = await link.ended('a');
  const acked = records[Math.floor(records.length / 2)]?.number ?? 0;
  link.send({ type: 'ack', acks: [['a', 3]] });
  await link.close();
  const next = await TestLink.attached(directory);
  expect((await next.prepare()).held).toEqual([{ execution_id: 'a', state: 'ended', reported: records.length }]);
  next.welcome({ acks: [['a', acked]] });
  const again = await next.ended('a');
  expect(again.records).toEqual(records.slice(acked));
  expect((await next.prepare()).held).toEqual([]);
  await next.close();
});

test('commands keep running without a link, and their output arrives afterwards', async () => {
  const { link, directory } = await linkedRunner();
  link.start('a', sh('echo before; read x; echo after; seq 1 100000'), { stdin: 'open' });
  await link.printed('a', 'before');
  link.send({ type: 'stdin', execution_id: 'a', offset: 0, close: true });
  link.send({ type: 'unlinked' });
  await link.close();
  const next = await attach(directory);
  const { stdout } = await next.ended('a');
  expect(stdout.toString()).toMatch(/after\n1\n2\n[\d\n]*100000\n$/);
});

test('the runner sends no more than the windows without an acknowledgement', async () => {
  const directory = agentDirectory();
  await startRunner(directory);
  const link = await attach(directory, { window_bytes: 300_000, execution_window_bytes: 100_000 });
  link.autoAck = false;
  const bytes = () => [...link.records.values()].flat().reduce((sum, { payload }) => sum + payload.length, 0);
  for (const id of ['a', 'b', 'c', 'd', 'e']) link.start(id, sh('head -c 2000000 /dev/zero'));
  await link.until('a full window', () => bytes() > 250_000);
  await link.prepare(); // everything sent before has arrived
  expect(bytes()).toBeLessThan(300_000 + 66_000);
  for (const records of link.records.values()) {
    expect(records.reduce((sum, { payload }) => sum + payload.length, 0)).toBeLessThan(100_000 + 66_000);
  }
});

test('a flood of one command does not delay the end of another', async () => {
  const directory = agentDirectory();
  await startRunner(directory);
  const link = await attach(directory, { window_bytes: 1 << 20, execution_window_bytes: 256 << 10 });
  let floodBytes = 0;
  link.onRecords = (records) => {
    for (const { executionId, payload } of records) if (executionId === 'flood') floodBytes += payload.length;
  };
  link.start('flood', ['/bin/cat', '/dev/zero'], { max_output_bytes: 1 << 30 });
  await link.until('the flood', () => floodBytes > 4 << 20);
  const before = floodBytes;
  await link.run('quick', ['/bin/echo', 'hi']);
  expect(floodBytes - before).toBeLessThan(64 << 20);
  link.send({ type: 'cancel', execution_id: 'flood', grace_ms: 1000 });
  await link.ended('flood');
});

test('a link that stops reading does not delay the command, and gets all of its output later', async () => {
  const { link, directory } = await linkedRunner();
  const over = `${directory}/over`;
  link.start('a', sh(`head -c 30000000 /dev/zero; echo > ${over}`), { max_output_bytes: 40 << 20 });
  await link.started('a');
  link.pauseReading();
  await until('the command has written everything', () => existsSync(over));
  link.resumeReading();
  const { stdout, ended } = await link.ended('a');
  expect(ended).toMatchObject({ status: 'succeeded', stdout_bytes: 30_000_000, stdout_truncated: false });
  expect(stdout).toHaveLength(30_000_000);
});
