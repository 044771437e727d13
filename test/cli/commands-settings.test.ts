import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { baseEnv, cli, MAIN } from '../helpers/harness.ts';
import { Started } from '../helpers/processes.ts';

let dir: string;

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'execplane-settings-'));
});
afterAll(() => rmSync(dir, { recursive: true }));

describe('a wrong setting stops the start with its name and exit code 2', () => {
  test.each([
    [['server'], 'EXECPLANE_PORT', '70000'],
    [['up'], 'EXECPLANE_MAX_CONCURRENCY', '0'],
    [['agent'], 'EXECPLANE_URL', 'http://example.com'],
    [['machines', 'ls'], 'EXECPLANE_URL', 'ftp://example.com'],
    [['machines', 'ls'], 'EXECPLANE_URL', 'https://example.com/v1'],
    [['machines', 'ls'], 'EXECPLANE_URL', 'https://example.com/prefix/v1/'],
    [['agent'], 'EXECPLANE_URL', 'https://example.com/v1'],
  ])('%j with %s=%s', async (args, variable, value) => {
    const env = { EXECPLANE_DATA_DIR: join(dir, 'data'), EXECPLANE_AGENT_DIR: join(dir, 'agent'), [variable]: value };
    const { code, stderr } = await cli(args, env);
    expect(stderr).toContain(variable);
    expect(code).toBe(2);
  });

  test('an error names a flag as a flag', async () => {
    const { code, stderr } = await cli(['server', '--port', 'x']);
    expect(stderr).toContain('--port');
    expect(code).toBe(2);
  });

  test('an unknown flag and an unknown command are named', async () => {
    expect(await cli(['server', '--colour'])).toMatchObject({ code: 2, stderr: expect.stringContaining('--colour') });
    expect(await cli(['sever'])).toMatchObject({ code: 2, stderr: expect.stringContaining('sever') });
  });
});

test('the error without a key says where to get one', async () => {
  const { code, stderr } = await cli(['machines', 'ls'], { HOME: dir, EXECPLANE_DATA_DIR: join(dir, 'none') });
  expect(code).toBe(2);
  expect(stderr).toContain('EXECPLANE_API_KEY');
});

test('a key file that others can read is not used', async () => {
  writeFileSync(join(dir, 'admin.key'), 'xpk_secret\n', { mode: 0o644 });
  const { code, stderr } = await cli(['machines', 'ls'], { HOME: dir, EXECPLANE_DATA_DIR: dir });
  expect(code).toBe(2);
  expect(stderr).toContain('chmod 0600');
  expect(stderr).not.toContain('xpk_secret');
});

test('the error without a server says what to check', async () => {
  const env = { HOME: dir, EXECPLANE_API_KEY: 'xpk_x', EXECPLANE_URL: 'http://127.0.0.1:1' };
  const { code, stderr } = await cli(['status'], env);
  expect(code).toBe(1);
  expect(stderr).toContain('http://127.0.0.1:1 cannot be reached: nothing listens there.');
});

test('exec exits with 125 if Execplane fails', async () => {
  const env = { HOME: dir, EXECPLANE_API_KEY: 'xpk_x', EXECPLANE_URL: 'http://127.0.0.1:1' };
  const { code, stderr } = await cli(['exec', 'dm-x', '--', 'true'], env);
  expect(code).toBe(125);
  expect(stderr).toContain('cannot be reached');
});

test.each(['up', 'server'])('%s names the port that is in use', async (command) => {
  const taken = createServer();
  const port = await new Promise<number>((resolve) => {
    taken.listen(0, '127.0.0.1', () => resolve((taken.address() as { port: number }).port));
  });
  const env = { EXECPLANE_PORT: String(port), EXECPLANE_DATA_DIR: join(dir, 'd'), EXECPLANE_AGENT_DIR: join(dir, 'a') };
  const { code, stderr } = await cli([command], env);
  expect(code).toBe(1);
  expect(stderr).toContain(`port ${port} is in use`);
  taken.close();
});

test.each([
  ['20.11.0', 2],
  ['22.20.0', 2],
  ['22.21.0', 0],
  ['23.11.0', 2],
  ['24.8.0', 2],
  ['24.9.0', 0],
  ['25.0.0', 0],
])('Node %s exits with %i, before anything else is loaded', async (version, expected) => {
  const other = `data:text/javascript,Object.defineProperty(process.versions,'node',{value:'${version}'})`;
  const started = new Started(process.execPath, ['--import', other, MAIN, '--help'], baseEnv());
  const { code } = await started.exited;
  expect(code).toBe(expected);
  const sentence = `execplane needs Node.js 22.21 or later of 22, or 24.9 or later; this is ${version}`;
  expect(started.stderr).toBe(expected === 0 ? '' : `${sentence} (${process.execPath}).\n`);
});
