/** `execplane schedules`: tables, and JSON with `--json`. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Schedule, ScheduleRun } from '../../../../src/client/main.ts';
import { cli, Deployment, type Settings } from '../../../helpers/harness.ts';

let deployment: Deployment;
let env: Settings;

beforeAll(async () => {
  deployment = await Deployment.start();
  env = { EXECPLANE_URL: deployment.server.url, EXECPLANE_API_KEY: deployment.server.key, HOME: deployment.dir };
}, 60_000);
afterAll(() => deployment.dispose(), 60_000);

async function ok(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await cli(['schedules', ...args], env);
  expect(code, stderr).toBe(0);
  return stdout;
}

async function json<T>(...args: string[]): Promise<T> {
  const [verb = '', ...rest] = args;
  return JSON.parse(await ok(verb, '--json', ...rest)) as T;
}

test('create, ls, show, update, pause, resume and rm work', async () => {
  const said = await ok(
    'create',
    '--cron',
    '0 3 1 1 *',
    '--machine',
    'dm-test',
    '--name',
    'yearly',
    '--',
    'sh',
    '-c',
    'exit 0',
  );
  expect(said).toMatch(/^sched-\w+ is created: due in \d+d, at \d{4}-01-01T03:00:00.000Z\.\n$/);
  const [id = ''] = said.split(' ');
  expect(await ok('ls')).toMatch(
    new RegExp(`^${id} +yearly +0 3 1 1 \\* \\(UTC\\) +in \\d+d +dm-test +sh -c 'exit 0'$`, 'm'),
  );
  expect(await ok('show', id)).toMatch(/^next_runs +\["\d{4}-01-01T03:00:00.000Z",/m);
  expect(await ok('pause', id)).toBe(`${id}: paused.\n`);
  expect(await ok('ls')).toMatch(/ paused +dm-test /);
  expect(await ok('resume', id)).toMatch(/: due in \d+d, at /);
  expect(await ok('update', id, '--every', '1h30m', '-e', 'A=b', '--', 'true')).toMatch(/: due in 1h, at /);
  expect(await json<Schedule>('show', id)).toMatchObject({ every_seconds: 5400, command: ['true'], env_keys: ['A'] });
  expect(await ok('ls')).toContain('every 1h30m');
  expect(await json('runs', id)).toEqual({ items: [] });
  expect(await ok('rm', id)).toBe(`${id} is deleted.\n`);
  expect(await json('ls')).toEqual({ items: [] });
});

test('runs shows the outcome of each tick', async () => {
  const { schedule_id: id } = await json<Schedule>('create', '--every', '1s', '--machine', 'dm-test', '--', 'true');
  const items = async () => (await json<{ items: ScheduleRun[] }>('runs', id)).items;
  await expect
    .poll(items, { timeout: 30_000 })
    .toContainEqual(expect.objectContaining({ batch: expect.objectContaining({ status: 'succeeded' }) }));
  expect(await ok('runs', id)).toMatch(/^\d{4}-\S+Z +succeeded +batch-\w+ +1 succeeded +/m);
  await ok('rm', id);
});

test.each([
  [2, ['create', '--cron', '@daily', '--', 'true'], 'Name the machines with --label or --machine'],
  [2, ['create', '--machine', 'dm-test', '--label', 'a=b', '--every', '5m', '--', 'true'], 'cannot be used together'],
  [2, ['create', '--machine', 'dm-test', '--', 'true'], 'either --cron or --every'],
  [1, ['create', '--machine', 'dm-test', '--cron', 'soon', '--', 'true'], 'not a cron expression of five fields'],
  [1, ['pause', 'sched-none'], 'no such schedule.\nList what exists with "execplane schedules ls"'],
])('exits with %d for %j', async (code, args, message) => {
  const { code: exitCode, stderr } = await cli(['schedules', ...args], env);
  expect([exitCode, stderr]).toEqual([code, expect.stringContaining(message)]);
});
