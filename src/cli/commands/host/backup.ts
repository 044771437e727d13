import { resolve } from 'node:path';
import { Command } from 'commander';
import { CliError } from '../../cli-error.ts';
import { print } from '../../streams/output.ts';
import { printJson } from '../../terminal/print.ts';

const EXAMPLES = `
Examples:
  execplane backup
  execplane backup --data-dir /var/lib/execplane /var/backups/execplane-today.backup

The file holds the keys of the server as well: whoever has it has the server. It is made 0600; keep it so.`;

/** `execplane backup`: on the host of the server, which may run meanwhile. */
export async function backupCommand(): Promise<Command> {
  const { backUp, readServerConfig } = await import('../../../server/main.ts');
  return new Command('backup')
    .description('Copy the data of a server on this host, running or not, into one file, and verify the copy.')
    .argument('[FILE]', 'new file; default: execplane-DATE.backup in this directory')
    .option('--data-dir <value>', 'Where the server keeps its data. (EXECPLANE_DATA_DIR, default ./data)')
    .option('--json', 'print it as JSON')
    .addHelpText('after', EXAMPLES)
    .action(async (given: string | undefined, { json, ...settings }: { dataDir?: string; json?: true }) => {
      const { dataDir } = readServerConfig(settings);
      const now = Date.now();
      const file = resolve(given ?? `execplane-${new Date(now).toISOString().replaceAll(/[-:]|\.\d+/g, '')}.backup`);
      const report = await backUp({ dataDir, to: file, now }).catch((cause: Error) => {
        throw new CliError(`there is no backup: ${cause.message}.`, { cause });
      });
      if (json) {
        printJson({ file, bytes: report.bytes, rows: report.counts, keys: report.keys });
        return;
      }
      const { executions = 0, machines = 0 } = report.counts;
      print(
        `${file}: ${report.bytes} bytes, verified; ${executions} executions, ${machines} machines; ${report.keys.join(', ')}.\n`,
      );
    });
}
