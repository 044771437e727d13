import { statSync } from 'node:fs';
import type { Command } from 'commander';
import type { MachineClient } from '../../client/main.ts';
import { errorReason } from '../../node/error-code.ts';
import { CliError } from '../cli-error.ts';
import { clientCommand, clientOf } from '../client-command.ts';
import type { CopyOptions } from '../copy/copy.ts';
import { fetchFile } from '../copy/fetch-file.ts';
import { fetchFolder, sendFolder } from '../copy/folders.ts';
import { assertOneMachine, type Operand, readOperand } from '../copy/operand.ts';
import { machineIdOf } from '../machine-name.ts';
import { CopyProgress } from '../copy/progress.ts';
import { sendFile } from '../copy/send-file.ts';
import { Interruption } from '../terminal/interruption.ts';
import { printError } from '../streams/output.ts';
import { StatusLine } from '../terminal/status-line.ts';

const DESCRIPTION = [
  'Copy a file to or from a machine. The file is written under a temporary name, checked by checksum and renamed, so that no reader gets a partial file.',
  'The copy runs as commands on the machine, with their permissions. To continue an interrupted copy of a large file, run the same command again.',
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
      const interruption = new Interruption();
      const abort = new AbortController();
      interruption.arm(async () => abort.abort());
      const progress = new CopyProgress(new StatusLine());
      try {
        await copy(from, to, { flags, signal: abort.signal, progress });
      } catch (error) {
        if (!abort.signal.aborted) throw error;
        printError(
          `execplane: interrupted after ${progress.copied}. The same command continues the copy of a large file.\n`,
        );
      } finally {
        interruption.dispose();
      }
      // stdin may stay open forever, so it is not awaited.
      if (interruption.exitCode !== undefined) process.exit(interruption.exitCode);
    });
}

async function machineOf(flags: unknown, text: string): Promise<MachineClient> {
  const client = clientOf(flags);
  return client.machine(await machineIdOf(client, text));
}

async function copy(
  from: Operand,
  to: Operand,
  { flags, ...rest }: Omit<CopyOptions, 'preserve'> & { flags: CopyFlags },
): Promise<void> {
  const options = { ...rest, preserve: flags.preserve === true };
  const recursive = flags.recursive === true;
  if (to.at === 'machine') {
    const machine = await machineOf(flags, to.machine);
    await send(machine, { local: from.at === 'here' ? from.path : undefined, remote: to.path, recursive, ...options });
  } else if (from.at === 'machine') {
    const machine = await machineOf(flags, from.machine);
    if (recursive && to.at === 'here') await fetchFolder(machine, { local: to.path, remote: from.path, ...options });
    else await fetchFile(machine, { local: to.at === 'here' ? to.path : undefined, remote: from.path, ...options });
  }
}

async function send(
  machine: MachineClient,
  { local, recursive, ...options }: CopyOptions & { local: string | undefined; remote: string; recursive: boolean },
): Promise<void> {
  if (local === undefined || kindOf(local) === 'file') await sendFile(machine, { local, ...options });
  else if (recursive) await sendFolder(machine, { local, ...options });
  else throw new CliError(`${local} is a folder: use -r to copy it.`);
}

/** Returns the file's status. Throws CliError if there is no such file. */
function kindOf(path: string): 'folder' | 'file' {
  try {
    return statSync(path).isDirectory() ? 'folder' : 'file';
  } catch (cause) {
    throw new CliError(`${path} cannot be read: ${errorReason(cause)}.`, { cause });
  }
}
