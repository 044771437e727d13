import { expect, test } from 'vitest';
import { type AnswerBody, httpFixture, MACHINE } from '../../http-fixture.ts';

const EXECUTIONS = `/v1/machines/${MACHINE}/executions`;

test('a create returns the execution with the fields of the contract and no others', async () => {
  await using http = await httpFixture();
  const body = { command: ['env', ''], env: { B: '2', A: '1' }, cwd: '/tmp', stdin: 'in', timeout_ms: 3_000_000_000 };
  const { status, body: execution } = await http.call('POST', EXECUTIONS, { body });
  expect(status).toBe(200);
  expect(execution).toStrictEqual({
    execution_id: expect.stringMatching(/^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$/),
    machine_id: MACHINE,
    status: 'queued',
    command: ['env', ''],
    created_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
    cwd: '/tmp',
    env_keys: ['A', 'B'],
    expires_at: expect.stringMatching(/Z$/),
  });
  expect(http.created).toMatchObject([
    { createdBy: 'admin', timeoutMs: 3_000_000_000, stdin: { mode: 'fixed', bytes: Buffer.from('in') } },
  ]);
});

test.each([
  ['no command', {}, 'body.command'],
  ['an empty command', { command: [] }, 'body.command'],
  ['an empty program', { command: [''] }, 'body.command[0]'],
  ['a number as argument', { command: ['a', 1] }, 'body.command[1]'],
  ['NUL in an argument', { command: ['a', 'b\0'] }, 'body.command[1]'],
  ['a string as command', { command: 'ls' }, 'body.command'],
  ['an unknown field', { command: ['a'], shell: true }, 'body.shell'],
  ['an unknown field of the prototype', '{"command":["a"],"__proto__":{}}', 'body.__proto__'],
  ['an empty env name', { command: ['a'], env: { '': 'x' } }, 'body.env.'],
  ['= in an env name', { command: ['a'], env: { 'A=B': 'x' } }, 'body.env.A=B'],
  ['NUL in an env name', { command: ['a'], env: { 'A\0': 'x' } }, 'body.env.A\0'],
  ['NUL in an env value', { command: ['a'], env: { A: '\0' } }, 'body.env.A'],
  ['a number as env value', { command: ['a'], env: { PATH: 1 } }, 'body.env.PATH'],
  ['a name with a slash', { command: ['a'], env: { 'a/b~c': 1 } }, 'body.env.a/b~c'],
  ['a line break in a name does not hide a number', { command: ['a'], env: { 'A\nB': 1 } }, 'body.env.A\nB'],
  ['EXECUTION_ID', { command: ['a'], env: { EXECUTION_ID: 'x' } }, 'body.env.EXECUTION_ID'],
  ['a list as env', { command: ['a'], env: [] }, 'body.env'],
  ['null as env', { command: ['a'], env: null }, 'body.env'],
  ['NUL in cwd', { command: ['a'], cwd: '/\0' }, 'body.cwd'],
  ['a negative timeout', { command: ['a'], timeout_ms: -1 }, 'body.timeout_ms'],
  ['half a millisecond', { command: ['a'], timeout_ms: 0.5 }, 'body.timeout_ms'],
  ['a timeout as text', { command: ['a'], timeout_ms: '5' }, 'body.timeout_ms'],
  ['an endless timeout', '{"command":["a"],"timeout_ms":1e999}', 'body.timeout_ms'],
  ['a lone surrogate', '{"command":["a\\ud800"]}', 'body.command[0]'],
  ['a lone surrogate in a name', '{"command":["a"],"env":{"\\udc00":"x"}}', 'body.env.\ufffd'],
  ['stdin that is not base64', { command: ['a'], stdin: 'a b', stdin_encoding: 'base64' }, 'body.stdin'],
  ['stdin in base64url', { command: ['a'], stdin: 'AA-_', stdin_encoding: 'base64' }, 'body.stdin'],
  ['base64 with padding in it', { command: ['a'], stdin: 'AA==AA==', stdin_encoding: 'base64' }, 'body.stdin'],
  ['letters that are not ASCII in base64', { command: ['a'], stdin: 'ŁAAA', stdin_encoding: 'base64' }, 'body.stdin'],
  ['stdin, and open stdin', { command: ['a'], stdin: 'x', stdin_open: true }, 'body.stdin'],
  ['an unknown encoding', { command: ['a'], stdin: 'x', stdin_encoding: 'hex' }, 'body.stdin_encoding'],
  ['a callback to a file', { command: ['a'], callback_url: 'file:///etc/passwd' }, 'body.callback_url'],
  ['a callback with credentials', { command: ['a'], callback_url: 'http://u:p@h/' }, 'body.callback_url'],
  ['no time to start', { command: ['a'], start_within_ms: 0 }, 'body.start_within_ms'],
])('%s gets 422, which names the field', async (_name, body, location) => {
  await using http = await httpFixture();
  const answer = await http.call('POST', EXECUTIONS, { body });
  expect(answer.status).toBe(422);
  expect(answer.headers['content-type']).toBe('application/problem+json');
  expect(answer.body.errors.map((error) => error.location)).toContain(location);
  expect(http.created).toStrictEqual([]);
});

test('an error repeats plain values, but nothing of env and stdin', async () => {
  await using http = await httpFixture();
  const body = { command: ['a', 7], env: { A: 'hunter2\0', 'B=': 'hunter2' }, stdin: ['hunter2'], password: 'hunter2' };
  const answer = await http.call('POST', EXECUTIONS, { body });
  expect(answer.body.errors).toContainEqual({ location: 'body.command[1]', message: 'must be string', value: 7 });
  expect(answer.raw.toString()).not.toContain('hunter2');
});

test('an error does not quote a body that does not parse', async () => {
  await using http = await httpFixture();
  const answer = await http.call('POST', EXECUTIONS, { body: '{"env":{"A":"hunter2"' });
  expect(answer.raw.toString()).not.toContain('hunter2');
});

test('__proto__ and constructor are ordinary names of the environment', async () => {
  await using http = await httpFixture();
  const body = '{"command":["env"],"env":{"__proto__":"x","constructor":"y","a\\nb":"z"}}';
  const answer = await http.call('POST', EXECUTIONS, { body });
  expect(answer.body['env_keys']).toStrictEqual(['__proto__', 'a\nb', 'constructor']);
  expect(Object.entries(http.created[0]?.env ?? {})).toContainEqual(['__proto__', 'x']);
});

test('the last value of a repeated field counts', async () => {
  await using http = await httpFixture();
  const answer = await http.call('POST', EXECUTIONS, { body: '{"command":["a"],"command":["b"]}' });
  expect(answer.body['command']).toStrictEqual(['b']);
});

test('values reach the machine unchanged: surrogate pairs, base64, an empty cwd as none, 0 as no limit', async () => {
  await using http = await httpFixture();
  const body = { command: ['😀\ufffd'], stdin: 'AAEC/w==', stdin_encoding: 'base64', cwd: '', timeout_ms: 0 };
  expect((await http.call('POST', EXECUTIONS, { body })).status).toBe(200);
  expect(http.created[0]).toMatchObject({
    command: ['😀\ufffd'],
    stdin: { mode: 'fixed', bytes: Buffer.from([0, 1, 2, 255]) },
  });
  expect(http.created[0]).not.toHaveProperty('cwd');
  expect(http.created[0]).not.toHaveProperty('timeoutMs');
});

test('a removed machine accepts nothing more (409), and a full queue says when to retry (429)', async () => {
  await using http = await httpFixture();
  http.control.create = async () => ({ outcome: 'queue_full' });
  const full = await http.call('POST', EXECUTIONS, { body: { command: ['a'] } });
  expect([full.status, full.body['error_code'], full.body['retryable']]).toStrictEqual([429, 'RATE_LIMITED', true]);
  expect(full.headers).toMatchObject({ 'x-should-retry': 'true', 'retry-after-ms': '1000', 'retry-after': '1' });
  http.control.create = async () => ({ outcome: 'machine_removed' });
  const removed = await http.call('POST', EXECUTIONS, { body: { command: ['a'] } });
  expect([removed.status, removed.body['error_code']]).toStrictEqual([409, 'INVALID_STATE']);
});

test('creates of one key are limited if a limit is set', async () => {
  await using http = await httpFixture({ config: { maxCreatesPerSecond: '2' }, now: () => 1_800_000_000_000 });
  const statuses = [];
  for (let i = 0; i < 4; i += 1) {
    statuses.push((await http.call('POST', EXECUTIONS, { body: { command: ['a'] } })).status);
  }
  expect(statuses).toStrictEqual([200, 200, 429, 429]);
});

test('wait_ms delays the answer until the end', async () => {
  await using http = await httpFixture();
  const pending = http.call('POST', `${EXECUTIONS}?wait_ms=30000`, { body: { command: ['true'] } });
  await expect.poll(() => http.created.length).toBe(1);
  const list = await http.call('GET', EXECUTIONS);
  const executionId = String(list.body.items[0]?.execution_id);
  const alsoPending = http.call('GET', `${EXECUTIONS}/${executionId}?wait_ms=999999`);
  await http.start(executionId);
  await http.finish(executionId, { status: 'failed', exit_code: 3, error_code: 'nonzero_exit', error_message: 'm' });
  const ended = (await pending).body;
  expect(ended).toMatchObject({ status: 'failed', exit_code: 3, error_code: 'nonzero_exit', stdout_bytes: 0 });
  expect((await alsoPending).body).toStrictEqual(ended);
});

test('the answer after wait_ms has the state at that moment', async () => {
  await using http = await httpFixture();
  const answer = await http.call('POST', `${EXECUTIONS}?wait_ms=1`, { body: { command: ['true'] } });
  expect(answer.body['status']).toBe('queued');
});

test.each(['abc', '-1', '1.5', '', '0x10', '1&wait_ms=2'])('wait_ms=%s gets 422', async (value) => {
  await using http = await httpFixture();
  const answer = await http.call('POST', `${EXECUTIONS}?wait_ms=${value}`, { body: { command: ['true'] } });
  expect(answer.body.errors).toMatchObject([{ location: 'query.wait_ms' }]);
  expect(http.created).toStrictEqual([]);
});

test('one request with include=output runs a command and returns its output', async () => {
  await using http = await httpFixture();
  const pending = http.call('POST', `${EXECUTIONS}?wait_ms=30000&include=output`, { body: { command: ['true'] } });
  await expect.poll(() => http.created.length).toBe(1);
  const list = await http.call('GET', EXECUTIONS);
  const executionId = String(list.body.items[0]?.execution_id);
  await http.start(executionId);
  await http.report(executionId, { kind: 'stdout', payload: 'aé\n' }, { kind: 'stderr', payload: Buffer.from([0xff]) });
  await http.finish(executionId, { stdout_bytes: 4, stderr_bytes: 1 });
  const one = `${EXECUTIONS}/${executionId}`;
  const { output, ...ended } = (await pending).body as AnswerBody & { output: unknown };
  expect(ended).toStrictEqual((await http.call('GET', one)).body);
  expect(output).toStrictEqual((await http.call('GET', `${one}/output`)).body);
  expect(output).toMatchObject({ stdout: 'aé\n', stderr: '\ufffd', stdout_bytes: 4 });
  const cut = await http.call('GET', `${one}?include=output&tail=1`);
  expect(cut.body['output']).toMatchObject({ stdout: '\n', stderr: '\ufffd' });
  const cancelled = await http.call('DELETE', `${one}?include=output&encoding=base64`);
  expect(cancelled.body['output']).toMatchObject({ stdout: 'YcOpCg==', stderr: '/w==' });
});

test('a large output is included exactly as well', async () => {
  await using http = await httpFixture();
  const executionId = await http.create();
  await http.start(executionId);
  const chunk = 'é'.repeat(32_768);
  for (let i = 0; i < 8; i += 1) await http.report(executionId, { kind: 'stdout', payload: chunk });
  await http.finish(executionId, { stdout_bytes: 8 * 65_536 });
  const answer = await http.call('GET', `${EXECUTIONS}/${executionId}?include=output`);
  expect(answer.body['output']).toMatchObject({ stdout: chunk.repeat(8), stdout_bytes: 8 * 65_536 });
});

test('there is no output in an answer before the end, and an unknown include gets 422', async () => {
  await using http = await httpFixture();
  const answer = await http.call('POST', `${EXECUTIONS}?wait_ms=1&include=output`, { body: { command: ['true'] } });
  expect(answer.body).not.toHaveProperty('output');
  const unknown = await http.call('GET', `${EXECUTIONS}/${answer.body.execution_id}?include=output,secrets`);
  expect(unknown.body.errors).toMatchObject([
    { location: 'query.include', message: 'must be one of output, tail, usage, reason' },
  ]);
});
