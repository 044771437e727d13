/** Debian's webhook: a program in Go that runs a command for each request, answers with its output, and keeps nothing. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../../test/helpers/free-port.ts';
import { until } from '../../test/helpers/processes.ts';
import { COMMAND } from '../floors/spawn.ts';
import { requestsTo } from '../requests.ts';
import { listens } from './openssh.ts';
import type { Peer } from './peer.ts';

/** The hook answers when the command has ended: with its output, or with a message if it failed. */
const HOOKS = [{ id: 'command', 'execute-command': COMMAND, 'include-command-output-in-response': true }];

/** Starts the program with one hook, which runs the command of the benches, for `connections` clients. Throws ENOENT if it is not installed. */
export async function webhookPeer(connections: number): Promise<Peer> {
  const directory = mkdtempSync(join(tmpdir(), 'execplane-webhook-'));
  const hooks = join(directory, 'hooks.json');
  writeFileSync(hooks, JSON.stringify(HOOKS));
  const port = await freePort();
  const address = ['-ip', '127.0.0.1', '-port', String(port)];
  const server = spawn('webhook', ['-hooks', hooks, ...address], { stdio: 'ignore' });
  await once(server, 'spawn');
  await until('webhook listens', () => listens(port));
  const api = requestsTo(`http://127.0.0.1:${port}`, '', connections);
  return {
    name: 'webhook, which keeps nothing',
    run: async () => {
      const bytes = await api.drain('/hooks/command');
      if (bytes > 0) throw new Error('the command of the hook failed');
      return bytes;
    },
    close: async () => {
      await api.close();
      server.kill('SIGTERM');
      await once(server, 'exit');
      rmSync(directory, { recursive: true });
    },
  };
}
