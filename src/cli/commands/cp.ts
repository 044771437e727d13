import { statSync } from 'node:fs';
import type { Command } from 'commander';
import type { MachineClient } from '../../client/main.ts';
import { CliError } from '../cli-error.ts';
import { clientCommand, clientOf } from '../client-command.ts';
import { type CopyOptions, fetchFile, sendFile } from '../copy/files.ts';
import { fetchFolder, sendFolder } from '../copy/folders.ts';
import { assertOneMachine, readOperand } from '../copy/operand.ts';
import { machineIdOf } from '../machine-name.ts';

const DESCRIPTION = [
  'Copy a file to or from a machine. The file is written under a temporary name, checked by checksum and renamed: no reader sees half of it.',
  'The copy runs as commands on the machine, with their permissions.',
].join(' ');
const EXAMPLES = `  execplane cp app.conf dm-web-1:/etc/app/
  execplane cp -r dm-web-1:/var/log/app logs
  pg_dump shop | execplane cp - dm-web-1:/backup/shop.sql`;

interface CopyFlags {
  recursive?: true;
  preserve?: true;
}

/** `execplane cp`. */
export function cpCommand(): Command {
  return clientCommand('cp <FROM> <TO>', DESCRIPTION, EXAMPLES)
    .usage('[options] LOCAL MACHINE:PATH | MACHINE:PATH LOCAL')
    .option('-r, --recursive', 'copy a folder with its contents')
    .option('-p, --preserve', 'keep modes and times')
    .action(async (fromText: string, toText: string, flags: CopyFlags) => {
      const [from, to] = [readOperand(fromText), readOperand(toText)];
      assertOneMachine(from, to);
      const how = { preserve: flags.preserve === true, recursive: flags.recursive === true };
      if (to.at === 'machine') {
        const machine = await machineOf(flags, to.machine);
        await send(machine, { local: from.at === 'here' ? from.path : undefined, remote: to.path, ...how });
      } else if (from.at === 'machine') {
        const machine = await machineOf(flags, from.machine);
        const copy = { remote: from.path, preserve: how.preserve };
        if (how.recursive && to.at === 'here') await fetchFolder(machine, { local: to.path, ...copy });
        else await fetchFile(machine, { local: to.at === 'here' ? to.path : undefined, ...copy });
      }
    });
}

async function machineOf(flags: unknown, text: string): Promise<MachineClient> {
  const client = clientOf(flags);
  return client.machine(await machineIdOf(client, text));
}

async function send(
  machine: MachineClient,
  { local, recursive, ...copy }: CopyOptions & { local: string | undefined; remote: string; recursive: boolean },
): Promise<void> {
  if (local === undefined || kindOf(local) === 'file') await sendFile(machine, { local, ...copy });
  else if (recursive) await sendFolder(machine, { local, ...copy });
  else throw new CliError(`${local} is a folder: use -r to copy it.`);
}

/** Returns the file's status. Throws CliError if there is no such file. */
function kindOf(path: string): 'folder' | 'file' {
  try {
    return statSync(path).isDirectory() ? 'folder' : 'file';
  } catch (cause) {
    throw new CliError(`${path} cannot be read: ${(cause as Error).message}`, { cause });
  }
}
