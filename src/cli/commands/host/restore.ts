import { Command } from 'commander';
import { print } from '../../streams/output.ts';
import { printJson } from '../../terminal/print.ts';
import { hostFailure } from './host-failure.ts';

const EXAMPLES = `
Examples:
  execplane restore execplane-20260131T040000Z.backup
  execplane restore --data-dir /var/lib/execplane --force /var/backups/execplane-today.backup

The server has to be stopped. Executions created after the backup are lost: agents kill those that still run. Executions that
were waiting when the backup was made end as agent_lost, because they may have run since.`;

/** `execplane restore`: runs on the host of the server, which must be stopped. */
export async function restoreCommand(): Promise<Command> {
  const { readServerConfig, restore } = await import('../../../server/main.ts');
  return new Command('restore')
    .description('Restore a backup into the data directory of a server on this host, and verify it.')
    .argument('<FILE>', 'file made by "execplane backup"')
    .option('--data-dir <value>', 'Data directory of the server. (EXECPLANE_DATA_DIR, default ./data)')
    .option('--force', 'if the directory has data: move it aside first')
    .option('--json', 'print the report as JSON')
    .addHelpText('after', EXAMPLES)
    .action(
      (from: string, { force = false, json, ...settings }: { dataDir?: string; force?: boolean; json?: true }) => {
        const { dataDir } = readServerConfig(settings);
        const report = restored({ dataDir, from, force, now: Date.now() }, restore);
        const { madeAt, version, counts, digestChecked, abandoned, replaced } = report;
        const made = new Date(madeAt).toISOString();
        if (json) {
          printJson({
            data_dir: dataDir,
            made_at: made,
            version,
            rows: counts,
            digest_checked: digestChecked,
            abandoned,
            replaced,
          });
          return;
        }
        const { executions = 0, machines = 0 } = counts;
        print(
          `${dataDir} is restored to its state of ${made} and verified: ${executions} executions, ${machines} machines.\n`,
        );
        if (!digestChecked) {
          print(
            'The backup is of an older version, without a digest: a value in it that was changed is not noticed.\n',
          );
        }
        if (abandoned > 0) print(`${abandoned} executions that were waiting then have ended as agent_lost.\n`);
        if (replaced !== undefined) print(`The previous data is in ${replaced}.\n`);
      },
    );
}

function restored<P, R>(p: P, restore: (p: P) => R): R {
  try {
    return restore(p);
  } catch (cause) {
    throw hostFailure('nothing was restored', cause);
  }
}
