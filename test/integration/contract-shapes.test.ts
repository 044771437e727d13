/** Contract §1, the fields of responses: exactly those listed, absent if not applicable, never null. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { WireEvent, WireExecution } from '../helpers/client.ts';
import { Deployment } from '../helpers/harness.ts';

let deployment: Deployment;
beforeAll(async () => {
  deployment = await Deployment.start();
});
afterAll(() => deployment.dispose());

const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;
const ALWAYS = ['execution_id', 'machine_id', 'status', 'command', 'created_at', 'expires_at'];
const COUNTS = ['stdout_bytes', 'stderr_bytes', 'stdout_truncated', 'stderr_truncated'];

function expectFields(value: object, fields: readonly string[]): void {
  expect(Object.keys(value).sort()).toEqual([...fields].sort());
  expect(Object.values(value)).not.toContain(null);
}

describe('Execution', () => {
  test('a succeeded execution has exactly its fields', async () => {
    const execution = await deployment.machine.sh('printf out; printf err_ >&2');
    expectFields(execution, [...ALWAYS, ...COUNTS, 'started_at', 'completed_at', 'exit_code']);
    expect(execution).toMatchObject({
      machine_id: 'dm-test',
      status: 'succeeded',
      command: ['/bin/sh', '-c', 'printf out; printf err_ >&2'],
      exit_code: 0,
      stdout_bytes: 3,
      stderr_bytes: 4,
      stdout_truncated: false,
      stderr_truncated: false,
    });
  });

  test('ids match their patterns; times are RFC 3339 UTC with milliseconds, and in order', async () => {
    const execution = await deployment.machine.run({ command: ['/bin/true'] });
    expect(execution.execution_id).toMatch(/^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$/);
    const times = [execution.created_at, execution.started_at ?? '', execution.completed_at ?? ''];
    for (const time of [...times, execution.expires_at]) expect(time).toMatch(TIME);
    expect(times).toEqual([...times].sort());
  });

  test('cwd is present as requested, if it was requested', async () => {
    expect(await deployment.machine.run({ command: ['/bin/true'], cwd: '/tmp/../tmp' })).toMatchObject({
      cwd: '/tmp/../tmp',
    });
  });

  test('env_keys has the sorted names only, and is absent if env is empty', async () => {
    const execution = await deployment.machine.run({ command: ['/bin/true'], env: { ZED: '1', ALPHA: '2', _m: '3' } });
    expect(execution.env_keys).toEqual(['ALPHA', 'ZED', '_m']);
    expect(await deployment.machine.run({ command: ['/bin/true'], env: {} })).not.toHaveProperty('env_keys');
  });

  test('exit_code is present if the process exited by itself; error_code and error_message on every terminal status but succeeded', async () => {
    const execution = await deployment.machine.sh('exit 7');
    expectFields(execution, [
      ...ALWAYS,
      ...COUNTS,
      'started_at',
      'completed_at',
      'exit_code',
      'error_code',
      'error_message',
    ]);
    expect(execution).toMatchObject({ status: 'failed', exit_code: 7, error_code: 'nonzero_exit' });
  });

  test('signal is present if a signal ended the process, and exit_code is absent', async () => {
    const execution = await deployment.machine.sh('kill -SEGV $$');
    expectFields(execution, [
      ...ALWAYS,
      ...COUNTS,
      'started_at',
      'completed_at',
      'signal',
      'error_code',
      'error_message',
    ]);
    expect(execution).toMatchObject({ status: 'failed', signal: 11, error_code: 'signaled' });
  });

  test('a command that could not be spawned has no started_at', async () => {
    const execution = await deployment.machine.run({ command: ['/no/such/program'] });
    expect(execution).not.toHaveProperty('started_at');
    expect(execution).toMatchObject({ status: 'failed', error_code: 'command_not_found', exit_code: 127 });
    expect(execution.completed_at).toMatch(TIME);
  });

  test('expires_at is always present, by default an hour after created_at', async () => {
    const execution = await deployment.machine.create({ command: ['/bin/true'] });
    expect(Date.parse(execution.expires_at) - Date.parse(execution.created_at)).toBe(3_600_000);
  });

  test('retry_after_ms is present in wake_in_progress, from 1 to 60 000; counts are absent before running', async () => {
    await deployment.joinToken({ machine_id: 'dm-never' });
    const execution = await deployment.client.machine('dm-never').create({ command: ['/bin/true'] });
    expectFields(execution, [...ALWAYS, 'retry_after_ms']);
    expect(execution.status).toBe('wake_in_progress');
    expect(execution.retry_after_ms).toBeGreaterThanOrEqual(1);
    expect(execution.retry_after_ms).toBeLessThanOrEqual(60_000);
  });

  test('stdout_bytes and stderr_bytes are present from running on', async () => {
    const { execution_id } = await deployment.machine.create({
      command: ['/bin/sh', '-c', 'echo ready; exec sleep 600'],
    });
    await deployment.machine.printed(execution_id, 'ready');
    const running = await deployment.machine.read(execution_id);
    expectFields(running, [...ALWAYS, ...COUNTS, 'started_at']);
    expect(running).toMatchObject({ status: 'running', stdout_bytes: 6, stderr_bytes: 0 });
    await deployment.machine.cancel(execution_id, { wait_ms: 20_000 });
  });

  test('create, read, list and cancel return the same object', async () => {
    const ended = await deployment.machine.run({ command: ['/bin/true'], cwd: '/', env: { A: 'b' } });
    expect(await deployment.machine.read(ended.execution_id)).toEqual(ended);
    expect(await deployment.machine.cancel(ended.execution_id)).toEqual(ended);
    const list = await deployment.client.get<{ items: WireExecution[] }>(deployment.machine.path);
    expect(list.json.items.find(({ execution_id }) => execution_id === ended.execution_id)).toEqual(ended);
  });

  test('command is kept as given', async () => {
    const command = ['/bin/echo', '', ' a  b ', '$HOME', '*', 'é✓\u{1F600}', '"q"', '--', '\\n\n\t'];
    const execution = await deployment.machine.run({ command });
    expect(execution.command).toEqual(command);
    expect((await deployment.machine.output(execution.execution_id)).stdout).toBe(`${command.slice(1).join(' ')}\n`);
  });
});

describe('ExecutionEvent', () => {
  test('sequence, type and at are always present, chunk on output, status on lifecycle', async () => {
    const { execution_id } = await deployment.machine.sh('echo out; echo err >&2');
    for (const event of await deployment.machine.events(execution_id)) {
      const own = event.type === 'lifecycle' ? ['status'] : ['chunk'];
      const end = event.status === 'succeeded' ? ['exit_code'] : [];
      expectFields(event, ['sequence', 'type', 'at', ...own, ...end]);
      expect(event.at).toMatch(TIME);
    }
  });

  test('the terminal lifecycle event has exit_code, signal, error_code and error_message', async () => {
    const last = async (line: string): Promise<WireEvent | undefined> =>
      (await deployment.machine.events((await deployment.machine.sh(line)).execution_id)).at(-1);
    expect(await last('exit 3')).toMatchObject({ status: 'failed', exit_code: 3, error_code: 'nonzero_exit' });
    expect(await last('kill -9 $$')).toMatchObject({ status: 'failed', signal: 9, error_code: 'signaled' });
    expect(await last('exit 3')).toHaveProperty('error_message');
  });
});

describe('output', () => {
  const ALL_SEVEN = ['execution_id', 'stdout', 'stderr', ...COUNTS];

  test('the output after a success has all seven fields', async () => {
    const { execution_id } = await deployment.machine.sh('printf x');
    expectFields(await deployment.machine.output(execution_id), ALL_SEVEN);
  });

  test('the output of an execution that never started has all seven fields', async () => {
    const { execution_id } = await deployment.machine.run({ command: ['/no/such/program'] });
    expect(await deployment.machine.output(execution_id)).toEqual({
      execution_id,
      stdout: '',
      stderr: '',
      stdout_bytes: 0,
      stderr_bytes: 0,
      stdout_truncated: false,
      stderr_truncated: false,
    });
  });

  test('the output after a cancel before the start has all seven fields', async () => {
    const away = deployment.client.machine('dm-never');
    const { execution_id } = await away.create({ command: ['/bin/true'] });
    expect(await away.cancel(execution_id)).toMatchObject({ status: 'cancelled', error_code: 'cancelled' });
    expectFields(await away.output(execution_id), ALL_SEVEN);
  });

  test('the output before the end gets 409 EXECUTION_NOT_FINISHED, retryable', async () => {
    const { execution_id } = await deployment.machine.create({ command: ['/bin/sleep', '600'] });
    const answer = await deployment.client.get(deployment.machine.at(execution_id, '/output'));
    expect(answer.status).toBe(409);
    expect(answer.json).toMatchObject({ error_code: 'EXECUTION_NOT_FINISHED', retryable: true });
    expect(answer.headers.get('x-should-retry')).toBe('true');
    await deployment.machine.cancel(execution_id, { wait_ms: 20_000 });
  });
});

describe('fields of our own appear only if asked for', () => {
  test('stdin, user, timeout_ms and the like are not part of the Execution', async () => {
    const execution = await deployment.machine.run({
      command: ['/bin/cat'],
      stdin: 'x',
      timeout_ms: 60_000,
      start_within_ms: 60_000,
    });
    expectFields(execution, [...ALWAYS, ...COUNTS, 'started_at', 'completed_at', 'exit_code']);
  });
});
