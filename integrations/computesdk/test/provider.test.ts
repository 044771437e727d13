/** The provider against a real server: a machine of one's own, and machines that a provider of the server makes. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { makeDirectory, removeDirectory } from '../../../test/helpers/directories.ts';
import { Deployment } from '../../../test/helpers/harness.ts';
import { until } from '../../../test/helpers/processes.ts';
import { TestProvider } from '../../../test/helpers/provider.ts';
import { execplane } from '../dist/main.js';

type Provider = ReturnType<typeof execplane>;
type Sandbox = Awaited<ReturnType<Provider['sandbox']['create']>>;

let deployment: Deployment;
let dir: string;

before(async () => {
  dir = makeDirectory('computesdk');
  deployment = await Deployment.start({ server: { EXECPLANE_PROVIDERS: new TestProvider(dir).file() } });
});
after(async () => {
  await deployment.dispose();
  await removeDirectory(dir);
});

function provider(settings: { machineId?: string } = {}): Provider {
  return execplane({ url: deployment.server.url, apiKey: deployment.server.key, ...settings });
}

describe('a machine of one’s own', () => {
  let sandbox: Sandbox;
  before(async () => {
    sandbox = await provider({ machineId: 'dm-test' }).sandbox.create({ envs: { GREETING: 'hello' }, directory: dir });
  });

  test('it is the sandbox, and destroying the sandbox leaves it', async () => {
    const own = provider({ machineId: 'dm-test' });
    assert.equal(sandbox.sandboxId, 'dm-test');
    assert.deepEqual(
      (await own.sandbox.list()).map(({ sandboxId }) => sandboxId),
      ['dm-test'],
    );
    await sandbox.destroy();
    assert.equal((await own.sandbox.getById('dm-test'))?.sandboxId, 'dm-test');
  });

  test('commands are lines of shell, with environment, directory and exit code', async () => {
    const result = await sandbox.runCommand('echo "$GREETING" | tr a-z A-Z; pwd; echo err >&2; exit 3');
    assert.deepEqual([result.stdout, result.stderr, result.exitCode], [`HELLO\n${dir}\n`, 'err\n', 3]);
    assert.ok(result.durationMs > 0);
    const other = await sandbox.runCommand('echo "$GREETING"; pwd', { env: { GREETING: 'bye' }, cwd: '/' });
    assert.equal(other.stdout, 'bye\n/\n');
    assert.equal((await sandbox.runCommand('no-such-program')).exitCode, 127);
    assert.equal((await sandbox.runCommand('kill -9 $$')).exitCode, 137);
  });

  test('a time limit ends a command, a background command is not waited for', async () => {
    assert.equal((await sandbox.runCommand('sleep 60', { timeout: 100 })).exitCode, 124);
    const background = await sandbox.runCommand('mkfifo done; echo ready > done', { background: true });
    assert.equal(background.exitCode, 0);
    assert.equal((await sandbox.runCommand('until [ -p done ]; do :; done; cat done')).stdout, 'ready\n');
  });

  test('output comes while the command runs, stdout and stderr apart', async () => {
    const gate = `${dir}/gate`;
    const err: string[] = [];
    const out: string[] = [];
    const result = await sandbox.runCommand(
      `mkfifo ${gate}; echo before; read line < ${gate}; echo "$line" >&2; exit 4`,
      {
        onStderr: (text) => err.push(text),
        onStdout: (text) => {
          out.push(text);
          // The command waits for this: what it printed is here while it runs.
          sandbox.runCommand(`echo after > ${gate}`).catch(assert.ifError);
        },
      },
    );
    assert.deepEqual([out.join(''), err.join(''), result.exitCode], ['before\n', 'after\n', 4]);
    assert.deepEqual([result.stdout, result.stderr], ['before\n', 'after\n']);
  });

  test('files of any name', async () => {
    const { filesystem } = sandbox;
    const folder = `${dir}/a "folder" $HOME`;
    await filesystem.mkdir(folder);
    await filesystem.writeFile(`${folder}/it's`, 'content äö\n');
    assert.equal(await filesystem.readFile(`${folder}/it's`), 'content äö\n');
    const entries = await filesystem.readdir(folder);
    assert.deepEqual(
      entries.map(({ name, type, size }) => [name, type, size]),
      [["it's", 'file', 13]],
    );
    await filesystem.remove(folder);
    await filesystem.remove(folder);
    assert.equal(await filesystem.exists(folder), false);
    await assert.rejects(filesystem.readFile(`${dir}/none`), /No such file/);
  });

  test('its state, and why it has no URL', async () => {
    const info = await sandbox.getInfo();
    assert.deepEqual([info.id, info.provider, info.status], ['dm-test', 'execplane', 'running']);
    assert.ok(info.createdAt.getTime() <= Date.now());
    await assert.rejects(sandbox.getUrl({ port: 80 }), /dials out/);
  });
});

test('with a provider of machines each sandbox is a machine of its own: made, found, listed, used, removed', async () => {
  const machines = provider();
  const sandbox = await machines.sandbox.create({ name: 'scratch', memoryMiB: 2048 });
  assert.notEqual(sandbox.sandboxId, 'dm-test');
  assert.equal((await sandbox.runCommand('echo here')).stdout, 'here\n');
  assert.equal((await machines.sandbox.getById(sandbox.sandboxId))?.sandboxId, sandbox.sandboxId);
  assert.deepEqual(
    (await machines.sandbox.list()).map(({ sandboxId }) => sandboxId),
    [sandbox.sandboxId],
  );
  await machines.sandbox.destroy(sandbox.sandboxId);
  assert.equal(await machines.sandbox.getById(sandbox.sandboxId), null);
  assert.equal(await machines.sandbox.getById('dm-none'), null);
  assert.deepEqual(await machines.sandbox.list(), []);
  // The provider stops the agent of the machine. Without a server it would not, and the agent would stay.
  await until('the provider has removed the machine', async () => {
    const { status } = await deployment.client.ask<{ status: { phase: string } }>(
      'GET',
      `/v1/machines/${sandbox.sandboxId}`,
    );
    return status.phase === 'destroyed';
  });
});

test('what is not the command’s fault is an error', async () => {
  const refused = execplane({ url: deployment.server.url, apiKey: 'xpk_wrong', machineId: 'dm-test' });
  const sandbox = await refused.sandbox.create();
  await assert.rejects(sandbox.runCommand('true'), /key/i);
});
