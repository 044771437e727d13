import type { Command } from 'commander';
import type { Execplane } from '../../client/main.ts';
import { CliError } from '../cli-error.ts';
import { clientCommand, clientOf } from '../client-command.ts';
import { print, printError, writeOutput } from '../streams/output.ts';
import { addListOptions, type ListOptions, printList } from '../terminal/list.ts';
import { printJson, shellWords } from '../terminal/print.ts';

interface AuditFlags extends ListOptions {
  export?: true;
  after?: string;
  release?: string;
}

const DESCRIPTION =
  'List the entries of the audit trail, newest first. --export prints all of them as JSON, one per line, oldest first.';
const EXAMPLES = `  execplane audit --limit 20
  execplane audit --export > audit.ndjson
  execplane audit --release 4711                 they are stored: the server may delete them
  execplane audit --export --after 4711 >> audit.ndjson`;

/** `execplane audit`. */
export function auditCommand(): Command {
  return addListOptions(clientCommand('audit', DESCRIPTION, EXAMPLES))
    .option('--export', 'print the entries as JSON, one per line, oldest first')
    .option('--after <ENTRY>', 'with --export: only entries after this one, the last of the export before')
    .option('--release <ENTRY>', 'let the server delete the entries up to this one, which were exported')
    .action(async (flags: AuditFlags) => {
      const client = clientOf(flags);
      if (flags.release !== undefined) await release(client, flags.release, flags);
      else if (flags.export) await exportAll(client, flags.after);
      else if (flags.after !== undefined) throw new CliError('--after needs --export.', { exitCode: 2 });
      else await list(client, flags);
    });
}

async function list(client: Execplane, flags: ListOptions): Promise<void> {
  await printList((page) => client.audit.list(page), flags, {
    none: 'No entries.',
    columns: [
      { title: 'ENTRY', value: (entry) => entry.audit_id },
      { title: 'AT', value: (entry) => entry.at },
      { title: 'ACTOR', value: (entry) => entry.actor },
      { title: 'SOURCE', value: (entry) => entry.source },
      { title: 'ACTION', value: (entry) => entry.action },
      { title: 'OUTCOME', value: (entry) => entry.outcome },
      { title: 'MACHINE', value: (entry) => entry.machine_id },
      { title: 'RESOURCE', value: (entry) => entry.resource },
      { title: 'COMMAND', value: (entry) => (entry.command === undefined ? '' : shellWords(entry.command)) },
    ],
  });
}

async function exportAll(client: Execplane, after: string | undefined): Promise<void> {
  let last: string | undefined;
  for await (const entry of client.audit.export({ after })) {
    await writeOutput('stdout', Buffer.from(`${JSON.stringify(entry)}\n`));
    last = entry.audit_id;
  }
  if (last === undefined) printError('Nothing new.\n');
  else printError(`Exported up to ${last}. Once they are stored: execplane audit --release ${last}\n`);
}

async function release(client: Execplane, entry: string, { json }: { json?: true }): Promise<void> {
  const released = await client.audit.release(entry);
  if (json) printJson(released);
  else print(`Entries up to ${released.through} will be deleted.\n`);
}
