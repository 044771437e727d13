import type { Command } from 'commander';
import { downloadAll, downloadTo, saveAs, verified } from '../artifacts/download.ts';
import { clientCommand, clientOf, groupCommand } from '../client-command.ts';
import { print, printError, writeOutput } from '../streams/output.ts';
import { addListOptions, type ListOptions, printList } from '../terminal/list.ts';
import { printJson } from '../terminal/print.ts';

/** `execplane artifacts …`. */
export function artifactsCommand(): Command {
  return groupCommand('artifacts', 'Artifacts: files that the server kept after a command.', [list(), get(), remove()]);
}

function list(): Command {
  const examples = '  execplane artifacts ls dm-web-1\n  execplane artifacts ls dm-web-1 --execution ID';
  return addListOptions(clientCommand('ls <MACHINE>', 'List the artifacts of a machine, newest first.', examples))
    .option('--execution <ID>', 'only artifacts of this execution')
    .action(async (machine: string, flags: ListOptions & { execution?: string }) => {
      const { artifacts } = clientOf(flags).machine(machine);
      await printList((page) => artifacts.list({ ...page, executionId: flags.execution }), flags, {
        none: 'No artifacts.',
        columns: [
          { title: 'ARTIFACT', value: (artifact) => artifact.artifact_id },
          { title: 'NAME', value: (artifact) => artifact.name },
          { title: 'BYTES', value: (artifact) => String(artifact.size_bytes) },
          { title: 'CREATED', value: (artifact) => artifact.created_at },
          { title: 'EXECUTION', value: (artifact) => artifact.execution_id },
        ],
      });
    });
}

function get(): Command {
  return clientCommand(
    'get <MACHINE> [ARTIFACT]',
    'Download an artifact, or all artifacts of an execution. Each is checked against its checksum.',
    [
      '  execplane artifacts get dm-web-1 ART-ID                      to a file of that name here',
      '  execplane artifacts get dm-web-1 ART-ID --output app.tgz',
      '  execplane artifacts get dm-web-1 ART-ID --output - | tar tz',
      '  execplane artifacts get dm-web-1 --execution ID --directory out',
    ].join('\n'),
  )
    .option('-o, --output <FILE>', 'file to write; - is stdout')
    .option('--execution <ID>', 'all artifacts of this execution')
    .option('-d, --directory <DIRECTORY>', 'folder in which the artifacts get their own names', '.')
    .action(async (machine: string, id: string | undefined, flags: GetFlags, command: Command) => {
      if ((id === undefined) === (flags.execution === undefined)) {
        command.error('error: name an artifact, or an execution with --execution');
      }
      const client = clientOf(flags).machine(machine);
      if (id === undefined) {
        const executionId = flags.execution ?? '';
        const paths = await downloadAll(client, executionId, flags.directory);
        for (const path of paths) tellSaved(path);
        if (paths.length > 0) return;
        // An execution that does not exist is an error.
        await client.execution(executionId).get();
        printError('The execution has no artifacts.\n');
        return;
      }
      const artifact = await client.artifacts.get(id);
      if (flags.output === '-')
        for await (const piece of verified(client, artifact)) await writeOutput('stdout', piece);
      else if (flags.output !== undefined) await saveAs(client, artifact, flags.output);
      else tellSaved(await downloadTo(client, artifact, flags.directory));
    });
}

interface GetFlags {
  output?: string;
  execution?: string;
  directory: string;
}

function tellSaved(path: string): void {
  printError(`Saved ${JSON.stringify(path)}.\n`);
}

function remove(): Command {
  return clientCommand('rm <MACHINE> <ARTIFACT>', 'Delete an artifact.', '  execplane artifacts rm dm-web-1 ART-ID')
    .option('--json', 'print the artifact as JSON')
    .action(async (machine: string, id: string, flags: { json?: true }) => {
      const artifact = await clientOf(flags).machine(machine).artifacts.delete(id);
      if (flags.json) printJson(artifact);
      else print(`Deleted ${JSON.stringify(artifact.name)}.\n`);
    });
}
