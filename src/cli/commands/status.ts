import type { Command } from 'commander';
import { clientCommand, clientOf } from '../client-command.ts';
import { print } from '../streams/output.ts';
import { printJson } from '../terminal/print.ts';

/** `execplane status`: exit code 0 if the server is ready. */
export function statusCommand(): Command {
  return clientCommand(
    'status',
    'Show whether the server is ready, and how many machines are online.',
    '  execplane status',
  )
    .option('--json', 'print the status as JSON')
    .action(async (flags: { json?: true }) => {
      const client = clientOf(flags);
      await client.ready();
      let connected = 0;
      let machines = 0;
      for await (const { status } of client.machines.list({ limit: 500 })) {
        machines += 1;
        if (status.phase === 'running') connected += 1;
      }
      if (flags.json) printJson({ url: client.url, ready: true, machines, connected });
      else print(`${client.url} is ready; ${connected} of ${machines} machines are online.\n`);
    });
}
