/** A server with a restored backup returns the same list, and agents reconnect to it (docs/backup.md). */
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { cli, Deployment } from '../helpers/harness.ts';
import { isAlive, until } from '../helpers/processes.ts';

interface Execution {
  execution_id: string;
  status: string;
  error_code?: string;
}

test('a restored server returns the same list, and its agent ends the executions that the backup lacks and accepts new ones', async () => {
  const deployment = await Deployment.start();
  try {
    const path = '/v1/machines/dm-test/executions';
    const run = (script: string, waitMs = 0) =>
      deployment.client.ask<Execution>('POST', `${path}?wait_ms=${waitMs}`, {
        body: { command: ['sh', '-c', script] },
      });
    const list = async () => (await deployment.client.ask<{ items: Execution[] }>('GET', path)).items;
    for (let n = 0; n < 3; n++) await run(`echo ${n}`, 20_000);
    const before = await list();
    const file = join(deployment.dir, 'a.backup');
    const dataDir = ['--data-dir', deployment.server.dataDir];
    const backedUp = await cli(['backup', '--json', ...dataDir, file]);
    expect(backedUp).toMatchObject({ code: 0, stderr: '' });
    expect(JSON.parse(backedUp.stdout)).toMatchObject({ rows: { executions: 3, machines: 1 } });

    const pidFile = join(deployment.dir, 'pid');
    const later = await run(`echo $$ > ${pidFile}; exec sleep 300`);
    await run('echo later', 20_000);
    const { stdout } = await deployment.client.ask<{ stdout: string }>(
      'GET',
      `${path}/${(await run(`cat ${pidFile}`, 20_000)).execution_id}/output`,
    );
    const pid = Number(stdout);
    expect(isAlive(pid)).toBe(true);
    expect(await cli(['restore', '--force', ...dataDir, file])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('a server runs on'),
    });
    await deployment.server.stop();
    expect(await cli(['restore', '--force', ...dataDir, file])).toMatchObject({ code: 0, stderr: '' });
    await deployment.server.restart();
    await deployment.connected();

    expect(await list()).toEqual(before);
    await until('the command that the server does not know has ended', () => !isAlive(pid));
    expect((await deployment.client.get(`${path}/${later.execution_id}`)).status).toBe(404);
    expect(await run('echo after', 20_000)).toMatchObject({ status: 'succeeded' });
  } finally {
    await deployment.dispose();
  }
}, 120_000);
