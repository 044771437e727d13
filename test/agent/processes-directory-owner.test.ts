/** Commands of root do not trust files that the agent's user wrote into the state directory. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { text } from 'node:stream/consumers';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, onTestFinished, test } from 'vitest';
import { asOwnerOf } from '../../src/node/files/directory-owner.ts';
import { stateDirectory } from '../../src/agent/processes/state-directory.ts';
import { findLink } from '../../src/agent/processes/link-pid-file.ts';
import { processRow } from '../../src/node/process-table.ts';

const NOBODY = 65_534;
const MAIN = new URL('../../src/cli/main.ts', import.meta.url).pathname;
const root = process.getuid?.() === 0 && process.platform === 'linux';

let base: string;
let dir: string;

beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), 'execplane-owner-'));
  chmodSync(base, 0o755);
  dir = join(base, 'state');
  mkdirSync(dir, { mode: 0o700 });
  if (root) chownSync(dir, NOBODY, NOBODY);
});

afterEach(() => rmSync(base, { recursive: true }));

/** Writes a pid file as the agent's user. */
function plant(pid: number): void {
  const file = join(dir, 'link.pid');
  const content = { pid, start_time: processRow(pid)?.startTime, version: '0', linked: true };
  writeFileSync(file, JSON.stringify(content), { mode: 0o600 });
  if (root) chownSync(file, NOBODY, NOBODY);
}

test.runIf(root)('the pid of another user\'s process is ignored, and "agent stop" signals nobody', async () => {
  const victim = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000); console.log()'], { stdio: 'pipe' });
  onTestFinished(() => void victim.kill('SIGKILL'));
  await once(victim.stdout, 'data');
  plant(victim.pid ?? 0);
  expect(findLink(dir)).toBeUndefined();
  const stop = spawn(process.execPath, [MAIN, 'agent', 'stop', '--agent-dir', dir], { stdio: 'pipe' });
  const [code] = await once(stop, 'exit');
  // No process of an agent was found.
  expect(code).toBe(1);
  expect(victim.exitCode).toBeNull();
  expect(processRow(victim.pid ?? 0)?.ended).toBe(false);
  victim.kill('SIGKILL');
  await once(victim, 'exit');
});

test.runIf(root)(
  'a socket that root has planted is named by the command that stops the agent, with what to do',
  async () => {
    const planted = createServer().listen(join(dir, 'runner.sock'));
    onTestFinished(() => void planted.close());
    await once(planted, 'listening');
    chmodSync(join(dir, 'runner.sock'), 0o600);
    const stop = spawn(process.execPath, [MAIN, 'agent', 'stop', '--agent-dir', dir], { stdio: 'pipe' });
    const [stderr, [code]] = await Promise.all([text(stop.stderr), once(stop, 'exit')]);
    expect(stderr).toMatch(
      /^execplane: the socket of the runner, .*runner\.sock, is closed to this user \(EACCES\): .*remove it\.\n$/,
    );
    expect(code).toBe(1);
  },
);

test.runIf(root)('root acts as the owner of the directory: a planted link reaches no file of root', () => {
  const target = join(base, 'of-root');
  mkdirSync(target, { mode: 0o700 });
  symlinkSync(join(target, 'written'), join(dir, 'link.log'));
  expect(() => asOwnerOf(stateDirectory(dir), () => writeFileSync(join(dir, 'link.log'), 'x'))).toThrow('EACCES');
  expect(existsSync(join(target, 'written'))).toBe(false);
  expect(process.geteuid?.()).toBe(0);
  asOwnerOf(stateDirectory(dir), () => writeFileSync(join(dir, 'own'), 'x'));
  expect(readFileSync(join(dir, 'own'), 'utf8')).toBe('x');
});

test.runIf(root)('a directory that is reached through a symbolic link is refused', () => {
  symlinkSync(dir, join(base, 'link'));
  expect(() => asOwnerOf(stateDirectory(join(base, 'link')), () => {})).toThrow('symbolic link');
  mkdirSync(join(dir, 'sub'));
  expect(() => asOwnerOf(stateDirectory(join(base, 'link', 'sub')), () => {})).toThrow(
    `name the directory as ${join(dir, 'sub')}`,
  );
});

test('a pid that belongs to another program is ignored', async () => {
  const other = spawn('sleep', ['600'], root ? { uid: NOBODY, gid: NOBODY } : {});
  await once(other, 'spawn');
  plant(other.pid ?? 0);
  expect(findLink(dir)).toBeUndefined();
  other.kill('SIGKILL');
  await once(other, 'exit');
});
