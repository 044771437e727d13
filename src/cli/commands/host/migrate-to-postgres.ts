import { Command } from 'commander';
import { CliError } from '../../cli-error.ts';
import { environment } from '../../config.ts';
import { print, printError } from '../../streams/output.ts';
import { printJson } from '../../terminal/print.ts';
import { hostFailure } from './host-failure.ts';

const EXAMPLES = `
Examples:
  EXECPLANE_DATABASE_URL=postgres://execplane:…@db.example/execplane \\
    execplane migrate-to-postgres --data-dir /var/lib/execplane --secret-key-file /etc/execplane/secret.key

The server has to be stopped, and the PostgreSQL database has to be empty. The command copies everything in one
transaction, and reads every row back before the transaction ends: after a failure, nothing was copied. The data directory
keeps its data. Do not start a server on it again: both servers would run the queued executions.`;

type Report = Awaited<ReturnType<typeof import('../../../server/main.ts')['migrateToPostgres']>>;
type Flags = Partial<Record<'dataDir' | 'databaseUrl' | 'secretKeyFile', string>> & { json?: true };

/** `execplane migrate-to-postgres`: runs on the host of the server, which must be stopped. */
export async function migrateToPostgresCommand(): Promise<Command> {
  const { migrateToPostgres, readServerConfig } = await import('../../../server/main.ts');
  return new Command('migrate-to-postgres')
    .description('Move the data of a server on this host to PostgreSQL, for several servers, and verify every row.')
    .option('--data-dir <value>', 'Data directory of the server. (EXECPLANE_DATA_DIR, default ./data)')
    .option('--database-url <value>', 'Destination: postgres://USER@HOST:5432/DATABASE. (EXECPLANE_DATABASE_URL)')
    .option(
      '--secret-key-file <value>',
      'Key file for the new servers. If missing, it is made from the key in the data directory. (EXECPLANE_SECRET_KEY_FILE)',
    )
    .option('--json', 'print the report as JSON')
    .addHelpText('after', EXAMPLES)
    .action(async ({ json, ...flags }: Flags) => {
      const env = environment();
      const databaseUrl = required(flags.databaseUrl ?? env['EXECPLANE_DATABASE_URL'], '--database-url');
      const secretKeyFile = required(flags.secretKeyFile ?? env['EXECPLANE_SECRET_KEY_FILE'], '--secret-key-file');
      const { dataDir } = readServerConfig(flags.dataDir === undefined ? {} : { dataDir: flags.dataDir }, {
        EXECPLANE_DATA_DIR: env['EXECPLANE_DATA_DIR'],
      });
      const options = { dataDir, databaseUrl, secretKeyFile, now: Date.now(), progress: tell };
      const report = await migrateToPostgres(options).catch((cause: Error) => {
        throw hostFailure('the data was not moved', cause);
      });
      if (json) printJson(jsonOf(report));
      else print(textOf(report, secretKeyFile));
    });
}

function required(value: string | undefined, flag: string): string {
  if (value !== undefined && value !== '') return value;
  throw new CliError(`${flag} is missing.`, { exitCode: 2, hint: 'See "execplane migrate-to-postgres --help".' });
}

function tell({ table, rows, verified }: { table: string; rows: number; verified: boolean }): void {
  printError(`${table}: ${rows} rows${verified ? ', verified' : ' …'}\n`);
}

function jsonOf({ tables, adminKeyFile }: Report): unknown {
  return {
    tables: tables.map(({ name, rows, digest }) => ({ name, rows, sha256: digest })),
    admin_key_file: adminKeyFile ?? null,
  };
}

function textOf({ tables, adminKeyFile }: Report, secretKeyFile: string): string {
  const rows = tables.reduce((sum, table) => sum + table.rows, 0);
  const key = adminKeyFile === undefined ? 'the same admin key' : `the key in ${adminKeyFile}`;
  return `${rows} rows are in PostgreSQL. Every row was read back and compared.
Start the servers with the same EXECPLANE_DATABASE_URL, EXECPLANE_SECRET_KEY_FILE=${secretKeyFile}
and EXECPLANE_API_KEY (${key}). Do not start a server on the data directory again.
`;
}
