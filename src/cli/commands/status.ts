import type { Command } from 'commander';
import { apiOf, clientCommand } from '../client-command.ts';
import { printJson } from '../terminal/print.ts';
import type { Machine, Page } from '../http/wire.ts';

/** `execplane status`: exit code 0 where the server is ready. */
export function statusCommand(): Command {
  return clientCommand(
    'status',
    'Whether the server is well, and how many machines are connected.',
    '  execplane status',
  )
    .option('--json', 'print it as JSON')
    .action(async (flags: { json?: true }) => {
      const api = apiOf(flags);
      await api.open('GET', '/readyz', { attempts: 1 }).then((response) => response.resume());
      let connected = 0;
      let machines = 0;
      let cursor: string | undefined;
      do {
        const page = await api.json<Page<Machine>>('GET', '/v1/machines', { query: { limit: 500, cursor } });
        machines += page.items.length;
        connected += page.items.filter(({ status }) => status.phase === 'running').length;
        cursor = page.next_cursor;
      } while (cursor !== undefined);
      if (flags.json) printJson({ url: api.url.origin, ready: true, machines, connected });
      else process.stdout.write(`${api.url.origin} is ready; ${connected} of ${machines} machines connected.\n`);
    });
}
