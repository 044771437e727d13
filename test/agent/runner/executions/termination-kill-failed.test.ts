/** A process that the agent's user cannot kill: a setuid program that runs completely as root. */
import { chmodSync, chownSync, copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, onTestFinished, test } from 'vitest';
import { LOG_KEY } from '../../../../src/node/log-keys.ts';
import { isAlive, Started, until } from '../../../helpers/processes.ts';
import { agentDirectory, attach, listens, MAIN } from '../../../helpers/runner-process.ts';

const NOBODY = 65_534;
const AS_NOBODY = [`--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups'];
const folder = mkdtempSync(join(tmpdir(), 'execplane-setuid-'));
const becomeRoot = join(folder, 'setpriv');
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Copies setpriv(1) with the setuid bit. Returns false if the bit has no effect for the user nobody, as on a nosuid file system. */
function makeSetuid(): boolean {
  if (process.getuid?.() !== 0 || !existsSync('/usr/bin/setpriv')) return false;
  chmodSync(folder, 0o755);
  copyFileSync('/usr/bin/setpriv', becomeRoot);
  chmodSync(becomeRoot, 0o4755);
  return (
    spawnSync('/usr/bin/setpriv', [...AS_NOBODY, becomeRoot, '--reuid=0', 'id', '-ru']).stdout?.toString() === '0\n'
  );
}

/** Starts a runner as the user nobody, who cannot use cgroups. */
async function runnerOfNobody(directory: string): Promise<Started> {
  chownSync(directory, NOBODY, NOBODY);
  const args = [...AS_NOBODY, process.execPath, MAIN, '--dir', directory];
  const runner = new Started('/usr/bin/setpriv', args, { PATH: process.env['PATH'] ?? '' });
  onTestFinished(async () => void (await runner.end('SIGKILL')));
  await until('it listens', () => listens(directory));
  return runner;
}

test.runIf(process.platform === 'linux' && makeSetuid())(
  'a setuid program that the agent cannot kill ends with kill_failed, which names it, and one line in the log',
  async () => {
    const directory = agentDirectory();
    const runner = await runnerOfNobody(directory);
    const link = await attach(directory);
    const sleepAsRoot = `"${becomeRoot}" --reuid=0 /bin/sleep 600`;
    link.start('descendant', ['/bin/sh', '-c', `${sleepAsRoot} & echo $!; wait`]);
    link.start('main', ['/bin/sh', '-c', `exec ${sleepAsRoot}`], { timeout_ms: 2000 });
    await link.printed('descendant', '\n');
    const pids = { descendant: Number(link.reported('descendant').stdout), main: await link.started('main') };
    onTestFinished(() => Object.values(pids).forEach((pid) => void process.kill(pid, 'SIGKILL')));
    // Before that they are processes of nobody, and can be killed.
    for (const pid of Object.values(pids)) await until('it sleeps as root', () => sleepsAsRoot(pid));
    link.send({ type: 'cancel', execution_id: 'descendant', grace_ms: 0 });

    for (const [id, pid] of Object.entries(pids)) {
      const survivor = `process ${pid} (sleep) of uid 0`;
      const { ended } = await link.ended(id);
      expect(ended).toMatchObject({ status: 'failed', error_code: 'kill_failed' });
      expect(ended.error_message).toBe(`The command could not be ended: ${survivor} may still run on the machine.`);
      expect(isAlive(pid)).toBe(true);
      await until('it is logged', () => linesOf(runner, id).length > 0);
      expect(linesOf(runner, id)).toEqual([expect.objectContaining({ level: 40, [LOG_KEY.processes]: [survivor] })]);
    }
    // Their slots are free, and the runner continues.
    expect((await link.run('next', ['/bin/echo', 'hello'])).stdout.toString()).toBe('hello\n');
  },
);

function sleepsAsRoot(pid: number): boolean {
  const status = readFileSync(`/proc/${pid}/status`, 'latin1');
  return /^Name:\tsleep$/m.test(status) && /^Uid:\t0\t0\t/m.test(status);
}

function linesOf(runner: Started, executionId: string): Record<string, unknown>[] {
  const complete = runner.stderr.split('\n').slice(0, -1);
  const lines = complete.map((line) => JSON.parse(line) as Record<string, unknown>);
  return lines.filter((line) => line[LOG_KEY.executionId] === executionId);
}
