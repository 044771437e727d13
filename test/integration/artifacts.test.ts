/** Artifacts end to end: a command leaves files, connections break, and the CLI downloads the files. */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { makeDirectory, removeDirectory } from '../helpers/directories.ts';
import { baseEnv, Deployment, MAIN } from '../helpers/harness.ts';
import { Started, until } from '../helpers/processes.ts';

interface ArtifactList {
  items: { artifact_id: string; name: string; size_bytes: number; sha256: string }[];
}

let deployment: Deployment;
let home: string;

beforeAll(async () => {
  deployment = await Deployment.start();
}, 60_000);
afterAll(() => deployment.dispose(), 60_000);
beforeEach(() => {
  home = makeDirectory('home');
});
afterEach(() => removeDirectory(home));

async function cli(...args: string[]): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const env = baseEnv({ EXECPLANE_URL: deployment.server.url, EXECPLANE_API_KEY: deployment.server.key });
  const process_ = new Started(process.execPath, [MAIN, ...args], env);
  const { code } = await process_.exited;
  return { code, stdout: process_.stdout, stderr: process_.stderr };
}

test('exec --artifact --download saves the files that the command left, and exits with its exit code', async () => {
  const script = 'mkdir -p dist; printf one > dist/a.txt; printf two > $ARTIFACTS_DIR/b.txt; exit 3';
  const ran = await cli(
    'exec',
    'dm-test',
    '--cwd',
    home,
    '--artifact',
    'dist/*',
    '--download',
    join(home, 'out'),
    '--',
    'sh',
    '-c',
    script,
  );
  expect(ran.code).toBe(3);
  expect(readdirSync(join(home, 'out'), { recursive: true }).sort()).toEqual(['b.txt', 'dist', 'dist/a.txt']);
  expect(readFileSync(join(home, 'out/dist/a.txt'), 'utf8')).toBe('one');
  expect(readFileSync(join(home, 'out/b.txt'), 'utf8')).toBe('two');
});

test('artifacts ls lists, get prints and rm deletes an artifact', async () => {
  await cli('exec', 'dm-test', '--', 'sh', '-c', 'printf kept > $ARTIFACTS_DIR/only.txt');
  const [id = ''] = (await cli('artifacts', 'ls', 'dm-test', '-q', '--limit', '1')).stdout.split('\n');
  expect((await cli('artifacts', 'ls', 'dm-test')).stdout).toContain('only.txt');
  expect((await cli('artifacts', 'get', 'dm-test', id, '-o', '-')).stdout).toBe('kept');
  expect((await cli('artifacts', 'get', 'dm-test', id, '--directory', home)).code).toBe(0);
  expect(readFileSync(join(home, 'only.txt'), 'utf8')).toBe('kept');
  expect((await cli('artifacts', 'rm', 'dm-test', id)).stdout).toBe('Deleted "only.txt".\n');
  expect((await cli('artifacts', 'get', 'dm-test', id)).code).toBe(1);
  const [none = ''] = (await cli('exec', 'dm-test', '-d', '--', 'true')).stdout.split('\n');
  const nothing = await cli('artifacts', 'get', 'dm-test', '--execution', none, '--directory', home);
  expect([nothing.code, nothing.stderr]).toEqual([0, 'The execution has no artifacts.\n']);
  const unknown = await cli('artifacts', 'get', 'dm-test', '--execution', 'ex-none', '--directory', home);
  expect([unknown.code, unknown.stderr]).toEqual([1, expect.stringContaining('no such execution')]);
});

test('an artifact arrives complete and once, although link and server are killed during its transfer', async () => {
  const megabytes = 128;
  const script = `head -c ${megabytes << 20} /dev/urandom > $ARTIFACTS_DIR/big; sha256sum < $ARTIFACTS_DIR/big; echo $ARTIFACTS_DIR`;
  const { execution_id: id } = await deployment.machine.create({ command: ['sh', '-c', script] });
  const printed = () => deployment.machine.read(id).then(({ stdout_bytes: bytes = 0 }) => bytes > 64);
  await until('the file is written', printed);
  await deployment.agent.killLink();
  deployment.agent.restart();
  await deployment.connected();
  await deployment.server.kill();
  await deployment.server.restart();
  const ended = await deployment.machine.ended(id);
  expect(ended.status).toBe('succeeded');
  const path = `/v1/machines/dm-test/artifacts?execution_id=${id}`;
  const { items } = await deployment.client.ask<ArtifactList>('GET', path);
  expect(items).toMatchObject([{ name: 'big', size_bytes: megabytes << 20 }]);
  const [artifact] = items;
  await cli('artifacts', 'get', 'dm-test', artifact?.artifact_id ?? '', '-o', join(home, 'big'));
  const sum = createHash('sha256')
    .update(readFileSync(join(home, 'big')))
    .digest('hex');
  expect(sum).toBe(artifact?.sha256);
  expect((await deployment.machine.output(id)).stdout).toContain(sum);
}, 180_000);
