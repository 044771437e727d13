/** `execplane exec --label` and `execplane batches`: with two real machines, and one that never connects. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { cli, Deployment, type Settings } from '../../../helpers/harness.ts';
import { isAlive, until } from '../../../helpers/processes.ts';
import { type Exec, startExec } from '../../exec-process.ts';

let deployment: Deployment;
let env: Settings;

beforeAll(async () => {
  deployment = await Deployment.start({ agent: { EXECPLANE_LABELS: 'role=web,site=berlin' } });
  await deployment.join('dm-two', { EXECPLANE_LABELS: 'role=web,site=paris' });
  env = { EXECPLANE_URL: deployment.server.url, EXECPLANE_API_KEY: deployment.server.key };
}, 60_000);
afterAll(() => deployment.dispose(), 60_000);

function exec(...args: string[]): Exec {
  return startExec(deployment.server, args);
}

async function run(...args: string[]): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const { code, stdout, stderr } = await exec(...args).exited;
  return { code, stdout: stdout.toString(), stderr: stderr.toString() };
}

const sorted = (text: string) => text.split('\n').filter(Boolean).sort();

describe('exec --label', () => {
  test('prints whole lines with the name of the machine, on the same stream, and succeeds if all do', async () => {
    const script = 'printf "one\\ntw"; printf err >&2; printf "o\\nrest"';
    const { code, stdout, stderr } = await run('--label', 'role=web', '--', 'sh', '-c', script);
    expect(code).toBe(0);
    expect(sorted(stdout)).toEqual([
      'dm-test: one',
      'dm-test: rest',
      'dm-test: two',
      'dm-two: one',
      'dm-two: rest',
      'dm-two: two',
    ]);
    expect(sorted(stderr)).toEqual([
      'dm-test: err',
      'dm-two: err',
      expect.stringMatching(/^execplane: batch-\w+ succeeded: 2 succeeded$/),
    ]);
  });

  test('prints output while the command runs, and Ctrl-C cancels it everywhere', async () => {
    const sleepers = exec('--label', 'role=web', '--', 'sh', '-c', 'echo $$; exec sleep 300');
    await sleepers.printed(/^dm-.*: \d+\ndm-.*: \d+\n$/);
    const pids = Array.from(sleepers.stdout.matchAll(/: (\d+)$/gm), ([, pid]) => Number(pid));
    expect(pids).toHaveLength(2);
    sleepers.child.kill('SIGINT');
    const { code, stderr } = await sleepers.exited;
    expect(code).toBe(130);
    expect(stderr.toString()).toMatch(/batch-\w+ cancelled: 2 cancelled\n$/);
    expect(pids.filter(isAlive)).toEqual([]);
  });

  test('exits with 1 if one machine fails, and names the machine', async () => {
    const once = `mkdir ${deployment.dir}/once 2>/dev/null || exit 3`;
    const { code, stderr } = await run('--label', 'role=web', '--concurrency', '1', '--', 'sh', '-c', once);
    expect(code).toBe(1);
    expect(stderr).toMatch(
      /^execplane: dm-two: failed, exit 3 \(.+\)\nexecplane: batch-\w+ failed: 1 failed, 1 succeeded\n$/,
    );
  });

  test('cancels the rest after too many failures', async () => {
    const args = ['--label', 'role=web', '--concurrency', '1', '--max-failures', '0', '--json', '--', 'false'];
    const { code, stdout } = await run(...args);
    expect(code).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject({ status: 'failed', counts: { failed: 1, cancelled: 1 } });
  });

  test('runs only on machines that have all labels', async () => {
    const { code, stdout } = await run(
      '--label',
      'role=web',
      '--label',
      'site=paris',
      '--env',
      'A=b',
      '--',
      'sh',
      '-c',
      'echo $A',
    );
    expect({ code, stdout }).toEqual({ code: 0, stdout: 'dm-two: b\n' });
  });

  test('waits for a machine that is away as long as --wait says', async () => {
    await deployment.client.request('POST', '/v1/machines', { body: { labels: { role: 'away' } } });
    const { code, stderr } = await run('--label', 'role=away', '--wait', '50ms', '--', 'true');
    expect(code).toBe(1);
    expect(stderr).toMatch(/: expired, start_timed_out \(.+\)\nexecplane: batch-\w+ failed: 1 expired\n$/);
  });

  test('exits with 125 if a machine printed more than is kept', async () => {
    const script = 'head -c 17000000 /dev/zero | tr "\\0" x';
    const { code, stderr } = await run('--label', 'site=paris', '--', 'sh', '-c', script);
    expect(code).toBe(125);
    expect(stderr).toContain('dm-two: the server did not keep all of the output');
  });

  test('continues over a restart of the server', async () => {
    const counting = exec(
      '--label',
      'site=berlin',
      '--',
      'sh',
      '-c',
      `echo before; until [ -e ${deployment.dir}/go ]; do sleep 0.1; done; echo after`,
    );
    await counting.printed('dm-test: before\n');
    await deployment.server.kill();
    await deployment.server.restart();
    await deployment.connected();
    await run('--label', 'site=paris', '--', 'touch', `${deployment.dir}/go`);
    const { code, stdout } = await counting.exited;
    expect({ code, stdout: stdout.toString() }).toEqual({ code: 0, stdout: 'dm-test: before\ndm-test: after\n' });
  }, 60_000);

  test('cancels the batch when its reader exits', async () => {
    const yes = exec('--label', 'site=paris', '--', 'sh', '-c', 'echo $$; exec yes');
    await yes.printed(/^dm-two: \d+\n/);
    const pid = Number(/\d+/.exec(yes.stdout)?.[0]);
    yes.closeStdout();
    expect((await yes.exited).code).toBe(141);
    await until('yes is gone', () => !isAlive(pid));
  });

  test.each([
    [125, ['--label', 'role=none', '--', 'true'], 'must select at least one machine'],
    [2, ['--label', 'role', '--', 'true'], 'Write it as key=value.'],
    [2, ['--label', 'a=1', '--label', 'a=2', '--', 'true'], 'The label a is given twice.'],
    [2, ['--label', 'role=web', '-i', '--', 'cat'], '--interactive cannot be used with --label'],
    [2, ['--label', 'role=web', '--download', '.', '--', 'true'], '--download cannot be used with --label'],
    [2, ['--concurrency', '2', 'dm-test', '--', 'true'], '--concurrency needs --label.'],
    [2, ['--max-failures', '0', 'dm-test', '--', 'true'], '--max-failures needs --label.'],
    [2, ['dm-test'], "missing required argument 'ARGV'"],
  ])('exits with %d for %j', async (code, args, message) => {
    const refused = await run(...args);
    expect(refused).toMatchObject({ code, stdout: '', stderr: expect.stringContaining(message) });
  });
});

describe('batches', () => {
  test('exec --detach prints the id; show, ls and cancel take it', async () => {
    const { code, stdout } = await run('--label', 'role=web', '--detach', '--', 'sleep', '300');
    expect(code).toBe(0);
    const id = stdout.trim();
    expect(JSON.parse((await cli(['batches', 'show', id, '--json'], env)).stdout)).toMatchObject({
      batch_id: id,
      status: 'running',
    });
    const [newest] = (await cli(['batches', 'ls', '--quiet'], env)).stdout.split('\n');
    expect(newest).toBe(id);
    const cancelled = await cli(['batches', 'cancel', id], env);
    expect(cancelled).toMatchObject({ code: 0, stdout: `${id}: cancelled (2 cancelled)\n` });
    const shown = (await cli(['batches', 'show', id], env)).stdout;
    expect(shown).toMatch(/^status +cancelled$/m);
    expect(shown).toMatch(/^dm-test +cancelled +signal 15 +\S+$/m);
    const { items } = JSON.parse((await cli(['batches', 'ls', '--json'], env)).stdout);
    expect(items[0]).toMatchObject({ batch_id: id, status: 'cancelled' });
    expect((await cli(['batches', 'ls'], env)).stdout).toMatch(new RegExp(`^${id} +cancelled +.* +2 cancelled$`, 'm'));
  });

  test('an unknown batch is an error that names batches ls', async () => {
    expect(await cli(['batches', 'cancel', 'batch-none'], env)).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('"execplane batches ls"'),
    });
  });
});
