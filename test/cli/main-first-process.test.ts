/** The launcher as the first process of a PID namespace, as in a container without an init. */

import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { processIds, processRow } from '../../src/node/process-table.ts';
import { temporaryDirectory } from '../helpers/directories.ts';
import { commandLine, processesWith, Started, until } from '../helpers/processes.ts';

const CLI = new URL('../../src/cli/', import.meta.url).pathname;
const NAMESPACE = ['--pid', '--fork', '--mount-proc', '--kill-child'];
const possible = spawnSync('unshare', [...NAMESPACE, 'true']).status === 0;
const ENV = { PATH: `${dirname(process.execPath)}:${process.env['PATH']}` };

function installedLauncher(program = `import ${JSON.stringify(join(CLI, 'main.ts'))};`): string {
  const installed = join(temporaryDirectory('first'), 'dist', 'cli');
  mkdirSync(installed, { recursive: true });
  copyFileSync(join(CLI, 'launcher.sh'), join(installed, 'execplane'));
  writeFileSync(join(installed, 'main.mjs'), program);
  writeFileSync(
    join(installed, 'main.js'),
    `import './main.mjs';
`,
  );
  return join(installed, 'execplane');
}

const childrenOf = (parent: number) => processIds().filter((pid) => processRow(pid)?.parent === parent);

test.runIf(possible)('the launcher reaps orphans and passes on signals', async () => {
  const launcher = installedLauncher();
  const directory = temporaryDirectory('first-agent');
  const settings = ['--agent-dir', directory, '--url', 'http://127.0.0.1:1', '--join-token', 'xpj_none'];
  const namespace = new Started('unshare', [...NAMESPACE, '/bin/sh', launcher, 'agent', ...settings], ENV);
  onTestFinished(async () => void (await namespace.end('SIGKILL')));
  const runner = () => processesWith(directory).find((pid) => commandLine(pid).includes('runner/main'));
  await until('the agent goes on to its server', () => namespace.stderr.includes('cannot enrol yet'));
  const first = runner();
  if (first === undefined) throw new Error('no runner');
  let orphans: number[] = [];
  await until('it has a spawner', () => {
    orphans = childrenOf(first);
    return orphans.length > 0;
  });
  process.kill(first, 'SIGKILL');
  await until('its orphans are reaped', () => !orphans.some((pid) => existsSync(`/proc/${pid}`)), 20_000);
  // The shell is the only child of unshare, which is outside.
  const [shell] = childrenOf(namespace.pid);
  if (shell === undefined) throw new Error(`it has exited: ${namespace.stderr}`);
  process.kill(shell, 'SIGINT');
  await namespace.exited;
  expect(namespace.stderr).toContain('stopping: ending all commands');
  expect(processesWith(directory)).toEqual([]);
});

test.runIf(possible)('the launcher passes on stdin and the exit code of the program', () => {
  const program = `process.stdin.on('data', (bytes) => process.stdout.write(bytes)).on('end', () => process.exit(7));`;
  const run = spawnSync('unshare', [...NAMESPACE, '/bin/sh', installedLauncher(program)], {
    input: 'to the program',
    encoding: 'utf8',
    env: ENV,
  });
  expect([run.status, run.stdout, run.stderr]).toEqual([7, 'to the program', '']);
});
