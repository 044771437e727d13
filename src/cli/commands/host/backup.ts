import { resolve } from 'node:path';
import { Command } from 'commander';
import { print } from '../../streams/output.ts';
import { printJson } from '../../terminal/print.ts';
import { hostFailure } from './host-failure.ts';

const EXAMPLES = `
Examples:
  execplane backup
  execplane backup --data-dir /var/lib/execplane /var/backups/execplane-today.backup

The file contains the keys of the server: keep it secret. It is created with mode 0600.`;

/** `execplane backup`: runs on the host of the server, which may keep running. */
export async function backupCommand(): Promise<Command> {
  const { backUp, readServerConfig } = await import('../../../server/main.ts');
  return new Command('backup')
    .description('Back up the data of a server on this host into one file, and verify it. The server may keep running.')
    .argument('[FILE]', 'new file; default: execplane-DATE.backup in this directory')
    .option('--data-dir <value>', 'Data directory of the server. (EXECPLANE_DATA_DIR, default ./data)')
    .option('--json', 'print the report as JSON')
    .addHelpText('after', EXAMPLES)
    .action(async (path: string | undefined, { json, ...settings }: { dataDir?: string; json?: true }) => {
      const { dataDir } = readServerConfig(settings);
      const now = Date.now();
      const file = resolve(path ?? `execplane-${new Date(now).toISOString().replaceAll(/[-:]|\.\d+/g, '')}.backup`);
      const report = await backUp({ dataDir, to: file, now }).catch((cause: Error) => {
        throw hostFailure('no backup was made', cause);
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
