import { appendFileSync, readdirSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import { encodeNote } from '../../../src/agent/runner/journal/notes.ts';
import { processIdentity } from '../../../src/node/process-identity.ts';
import { encodeRecord } from '../../../src/core/report.ts';
import { isAlive, processesWith } from '../../helpers/processes.ts';
import { agentDirectory, attach, linkedRunner, startRunner } from '../../helpers/runner-process.ts';
import { TestLink } from '../../helpers/test-link.ts';

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const DYING = new URL('../../fixtures/dying-runner.ts', import.meta.url).pathname;
const sh = (script: string) => ['/bin/sh', '-c', script];

// Only this file uses these ids: the processes of a dead runner are found by their marker on the whole machine.

/** Kills a runner with the execution `id` and starts its successor. No report was acknowledged. Returns the link to the successor. */
async function afterDeath(point: string, id: string, script: string) {
  const directory = agentDirectory();
  const first = await startRunner(directory, DYING, ['--die-at', point]);
  const link = await attach(directory);
  link.autoAck = false;
  const before = link.state?.runner_instance;
  link.start(id, sh(script.replaceAll('COUNT', join(directory, 'count'))));
  expect((await first.exited).signal).toBe('SIGKILL');
  await startRunner(directory);
  const next = await attach(directory);
  expect(next.state?.runner_instance).not.toBe(before);
  expect(next.state?.last_dispatch_number).toBe(0);
  return { directory, next };
}

test.each([
  ['intent', 0],
  ['started', 1],
  ['exited', 1],
])('killed at %s: never run again, agent_lost', async (point, runs) => {
  const { next, directory } = await afterDeath(point, `die-${point}`, 'echo x >> COUNT');
  const { ended } = await next.ended(`die-${point}`);
  expect(ended).toMatchObject({ status: 'failed', error_code: 'agent_lost' });
  expect(processesWith(`EXECUTION_ID=die-${point}`)).toEqual([]);
  const count = readdirSync(directory).includes('count') ? readFileSync(join(directory, 'count'), 'utf8') : '';
  expect(count.length / 2).toBeLessThanOrEqual(runs);
});

test('a runner killed under a command: the tree is killed, the output that was read is delivered, the counts are true', async () => {
  const { next } = await afterDeath('output', 'die-output', 'setsid sleep 60 & echo hello; echo die now; sleep 60');
  const { ended, stdout } = await next.ended('die-output');
  expect(stdout.toString()).toContain('hello\n');
  expect(ended).toMatchObject({ error_code: 'agent_lost', stdout_bytes: stdout.length, stdout_truncated: false });
  expect(processesWith('EXECUTION_ID=die-output')).toEqual([]);
});

test('a runner killed after the end was written delivers the end unchanged', async () => {
  const { next } = await afterDeath('ended', 'die-ended', 'echo fine; exit 3');
  const { ended, stdout } = await next.ended('die-ended');
  expect(stdout.toString()).toBe('fine\n');
  expect(ended).toMatchObject({ error_code: 'nonzero_exit', exit_code: 3 });
});

test('reports that were acknowledged before the death are not sent again', async () => {
  const { link, runner, directory } = await linkedRunner();
  await link.run('done', ['/bin/true']);
  link.start('lives', sh('echo a; sleep 60'));
  await link.printed('lives', 'a');
  await link.prepare(); // the acknowledgements have arrived before its answer
  await runner.end('SIGKILL');
  await startRunner(directory);
  const next = await TestLink.attached(directory, 1);
  expect((await next.prepare()).held.map((held) => held.execution_id)).toEqual(['lives']);
  next.welcome({ acks: [['lives', 2]] });
  const { records } = await next.ended('lives');
  expect(records.map(({ number }) => number)).toEqual([3]);
  await next.close();
});

test('a journal that ends in the middle of a record is read up to that record', async () => {
  const { link, runner, directory } = await linkedRunner();
  link.autoAck = false;
  link.start('torn', sh('echo one; sleep 0.05; echo two; sleep 60'));
  await link.printed('torn', 'two');
  await runner.end('SIGKILL');
  const segment = journalFile(directory);
  truncateSync(segment, statSync(segment).size - 3);
  await startRunner(directory);
  const next = await attach(directory);
  const { ended, records, stdout } = await next.ended('torn');
  expect(stdout.toString()).toBe('one\n');
  expect(ended).toMatchObject({ error_code: 'agent_lost', stdout_bytes: 4 });
  expect(records.map(({ number }) => number)).toEqual([1, 2, 3]);
});

test('garbage after the last record changes nothing', async () => {
  const { link, runner, directory } = await linkedRunner();
  link.autoAck = false;
  await link.run('garbage', sh('echo one'));
  await runner.end('SIGKILL');
  appendFileSync(journalFile(directory), Buffer.alloc(5000, 0x55));
  await startRunner(directory);
  const next = await attach(directory);
  const { ended, stdout } = await next.ended('garbage');
  expect(stdout.toString()).toBe('one\n');
  expect(ended.status).toBe('succeeded');
});

test('another process that has the pid of a lost command is not touched', async () => {
  const { link, runner, directory } = await linkedRunner();
  await link.run('stranger', sh('sleep 60 </dev/null >/dev/null 2>&1 & echo $!'));
  // The execution below owns it neither by marker nor by descent: only its pid is in the record.
  const pid = Number(link.output('stranger', 'stdout').toString());
  await runner.end('SIGKILL');
  const stranger = processIdentity(pid);
  if (stranger === undefined) throw new Error('it is not there');
  try {
    const records = [
      encodeNote('lost-1', 'accepted', 1, { dispatch_number: 9 }),
      encodeNote('lost-1', 'spawned', 2, { ...stranger, startTime: `${Number(stranger.startTime) - 1}` }),
      encodeNote('lost-2', 'accepted', 1, { dispatch_number: 9 }),
      encodeNote('lost-2', 'spawned', 2, { ...stranger, bootId: 'another-boot' }),
      encodeRecord({ kind: 1, executionId: 'lost-2', number: 1, at: 2, payload: Buffer.from('{"pid":1}') }),
    ];
    writeFileSync(join(directory, 'journal', '0000009999.log'), Buffer.concat(records));
    await startRunner(directory);
    const next = await attach(directory);
    expect((await next.ended('lost-1')).ended.error_code).toBe('agent_lost');
    const rebooted = (await next.ended('lost-2')).ended;
    expect(rebooted).toMatchObject({ error_code: 'agent_lost', error_message: expect.stringContaining('restarted') });
    expect(isAlive(pid)).toBe(true);
  } finally {
    process.kill(pid, 'SIGKILL');
  }
});

test('a runner that dies again during recovery loses and repeats nothing', async () => {
  const { link, runner, directory } = await linkedRunner();
  link.autoAck = false;
  link.start('again', sh('echo one; sleep 60'));
  await link.printed('again', 'one');
  await runner.end('SIGKILL');
  for (let i = 0; i < 3; i++) await (await startRunner(directory)).end('SIGKILL');
  await startRunner(directory);
  const next = await attach(directory);
  const { records } = await next.ended('again');
  expect(records.map(({ number, kind }) => [number, kind])).toEqual([
    [1, 1],
    [2, 2],
    [3, 4],
  ]);
});

function journalFile(directory: string): string {
  const name = readdirSync(join(directory, 'journal')).at(-1);
  if (name === undefined) throw new Error('no journal');
  return join(directory, 'journal', name);
}
