/** Copies one file from a machine, checks its SHA-256, and moves it to its path when it is complete. */
import { createHash } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { type FileStat, type MachineClient, UnreachableError } from '../../client/main.ts';
import { CliError } from '../cli-error.ts';
import { writeOutput } from '../streams/output.ts';
import type { CopyOptions } from './copy.ts';
import { PartialFile } from './partial-file.ts';

type Fetch = CopyOptions & { local: string | undefined; remote: string };

/** Copies a file from a machine. `local`: undefined for stdout. A file continues where an earlier copy was interrupted. */
export async function fetchFile(machine: MachineClient, copy: Fetch): Promise<void> {
  const { local, remote } = copy;
  const remoteStat = await machine.files.stat(remote);
  if (local === undefined) return fetchToStdout(machine, copy, remoteStat);
  const path = (await stat(local).catch(() => undefined))?.isDirectory() ? join(local, basename(remote)) : local;
  // The size of a symbolic link or a device is not that of its content.
  const identity =
    remoteStat.type === 'file' ? [machine.machineId, remote, remoteStat.size, remoteStat.modifiedAt] : undefined;
  const part = await PartialFile.open(path, identity);
  try {
    await fetchInto(part, machine, copy, remoteStat);
    await part.putInPlace(copy.preserve ? remoteStat : undefined);
  } catch (error) {
    // After any other error the part may be wrong.
    await part.close({ keep: copy.signal.aborted || error instanceof UnreachableError });
    throw error;
  }
}

async function fetchInto(
  part: PartialFile,
  machine: MachineClient,
  { remote, signal, progress }: Fetch,
  remoteStat: FileStat,
): Promise<void> {
  const hash = createHash('sha256');
  for await (const piece of part.content()) hash.update(piece);
  const from = { total: sizeOf(remoteStat), offset: part.size };
  const source = machine.files.stream(remote, { offset: part.size, signal });
  for await (const piece of progress.watch(source, from)) {
    hash.update(piece);
    await part.append(piece);
  }
  await assertSame(machine, { remote, received: hash.digest('hex'), effect: 'nothing was written' });
}

async function fetchToStdout(
  machine: MachineClient,
  { remote, signal, progress }: Fetch,
  remoteStat: FileStat,
): Promise<void> {
  const hash = createHash('sha256');
  for await (const piece of progress.watch(machine.files.stream(remote, { signal }), { total: sizeOf(remoteStat) })) {
    hash.update(piece);
    await writeOutput('stdout', piece);
  }
  await assertSame(machine, { remote, received: hash.digest('hex'), effect: 'the printed bytes are not a copy of it' });
}

function sizeOf({ type, size }: FileStat): number | undefined {
  return type === 'file' ? size : undefined;
}

/** Throws CliError if the file on the machine has another SHA-256 than the received bytes. `effect`: the consequence, for the message. */
async function assertSame(
  machine: MachineClient,
  { remote, received, effect }: { remote: string; received: string; effect: string },
): Promise<void> {
  const { stdout } = await machine.run(['sh', '-c', 'sha256sum < "$1"', 'sh', remote]);
  if (stdout.split(' ')[0] === received) return;
  throw new CliError(`${remote}: the received bytes differ from the file on the machine; ${effect}.`, {
    hint: 'Copy it again when no program changes it.',
  });
}
