/**
 * Measures starts of `execplane exec` per second, each from the start of the process to its request. The floor is a Node that runs nothing.
 * test/cli/main-start.test.ts counts the files that are loaded.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { measure, print, seconds, TINY } from './rounds.ts';

const CLI = new URL('../dist/cli/main.js', import.meta.url).pathname;
/** Starts in each round, one after the other. */
const STARTS = TINY ? 1 : 10;

const home = mkdtempSync(join(tmpdir(), 'execplane-bench-'));
/** A server that does not answer: only the arrival of the request is measured. */
const server = createServer().listen(0, '127.0.0.1');
await once(server, 'listening');
try {
  const figures = await measure([
    { name: 'node -e 0', unit: '/s', run: () => perStart(emptyNode) },
    {
      name: 'execplane exec, to its request',
      unit: '/s',
      floor: 'node -e 0',
      run: () => perStart(() => request(server)),
    },
  ]);
  print('cli-start', 'starts of the command line, one after the other', figures);
} finally {
  server.close();
  server.closeAllConnections();
  rmSync(home, { recursive: true, force: true });
}

async function perStart(start: () => Promise<void>): Promise<number> {
  const time = await seconds(async () => {
    for (let n = 0; n < STARTS; n++) await start();
  });
  return STARTS / time;
}

async function emptyNode(): Promise<void> {
  await once(spawn(process.execPath, ['-e', '0'], { stdio: 'ignore' }), 'exit');
}

/** Starts the CLI and waits for its request. Includes the short time of killing it. */
async function request(to: Server): Promise<void> {
  const url = `http://127.0.0.1:${(to.address() as AddressInfo).port}`;
  const requested = once(to, 'request');
  const cli = spawn(process.execPath, ['--', CLI, 'exec', 'dm-bench', '--', 'true'], {
    stdio: 'ignore',
    env: { ...process.env, HOME: home, EXECPLANE_URL: url, EXECPLANE_API_KEY: 'bench' },
  });
  const exited = once(cli, 'exit');
  await requested;
  cli.kill('SIGKILL');
  await exited;
}
