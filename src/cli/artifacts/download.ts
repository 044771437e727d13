/** Saves artifacts to files. A file is written under a temporary name, checked against its checksum, then renamed. */
import { createHash, randomUUID } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { dirname, join, relative, resolve } from 'node:path';
import { pipeline } from 'node:stream/promises';
import type { Artifact, MachineClient } from '../../client/main.ts';
import { makeDirectory } from '../../node/directory.ts';
import { CliError } from '../cli-error.ts';

/** Saves all artifacts of an execution under their names in `directory`. */
export async function downloadAll(machine: MachineClient, executionId: string, directory: string): Promise<string[]> {
  const paths: string[] = [];
  for await (const artifact of machine.artifacts.list({ executionId })) {
    paths.push(await downloadTo(machine, artifact, directory));
  }
  return paths;
}

/** Saves an artifact under its name in `directory`. Returns the path. Throws CliError if the bytes do not match its checksum. */
export async function downloadTo(machine: MachineClient, artifact: Artifact, directory: string): Promise<string> {
  const path = pathIn(directory, artifact.name);
  makeDirectory(dirname(path), 0o777);
  await saveAs(machine, artifact, path);
  return path;
}

/** Saves an artifact as `path`. */
export async function saveAs(machine: MachineClient, artifact: Artifact, path: string): Promise<void> {
  // Its name does not contain that of the file, which may have the maximum length already.
  const partial = join(dirname(path), `.execplane-${randomUUID()}.partial`);
  try {
    await pipeline(verified(machine, artifact), createWriteStream(partial, { flags: 'wx' }));
    await rename(partial, path);
  } finally {
    await rm(partial, { force: true });
  }
}

/** Yields the bytes of an artifact. Throws CliError at the end if they do not match its checksum. */
export async function* verified(machine: MachineClient, artifact: Artifact): AsyncGenerator<Uint8Array> {
  const hash = createHash('sha256');
  for await (const piece of machine.artifacts.content(artifact)) {
    hash.update(piece);
    yield piece;
  }
  if (hash.digest('hex') === artifact.sha256) return;
  throw new CliError(`the downloaded bytes of ${JSON.stringify(artifact.name)} do not match its checksum.`, {
    hint: 'Download it again.',
  });
}

/** Returns the path of an artifact in `directory`. Throws CliError if its name, which the machine chose, leads out of it. */
function pathIn(directory: string, name: string): string {
  const path = resolve(join(directory, name));
  const inside = relative(resolve(directory), path);
  const isOutside = inside === '' || inside === '..' || inside.startsWith('../');
  if (!isOutside && !name.startsWith('/') && !name.includes('\0')) return path;
  throw new CliError(`the name of the artifact ${JSON.stringify(name)} leads out of ${directory}; it was not saved.`, {
    hint: 'Choose a name for it: execplane artifacts get MACHINE ARTIFACT --output FILE.',
  });
}
