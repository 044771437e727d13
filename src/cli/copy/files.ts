/** Copies one file to or from a machine: checked by its SHA-256, and put in its place whole. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { chmod, open, rename, rm, stat, utimes } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { MachineClient } from '../../client/main.ts';
import { CliError } from '../cli-error.ts';
import { readStdin } from '../streams/input.ts';
import { writeOutput } from '../streams/output.ts';
import { StatusLine } from '../terminal/status-line.ts';
import { uploadProgress } from '../terminal/upload-progress.ts';

export interface CopyOptions {
  /** Keep modes and times. */
  preserve: boolean;
}

/** Copies a file to a machine. `local`: undefined for stdin. */
export async function sendFile(
  machine: MachineClient,
  { local, remote, preserve }: CopyOptions & { local: string | undefined; remote: string },
): Promise<void> {
  const found = local === undefined ? undefined : await stat(local);
  const path = local === undefined ? remote : await remoteTarget(machine, remote, basename(local));
  const hash = createHash('sha256');
  const source = local === undefined ? readStdin(new AbortController().signal) : createReadStream(local);
  await machine.files.write(path, watched(source, hash, found?.size), {
    sha256: () => hash.digest('hex'),
    ...(preserve && found !== undefined ? { mode: found.mode & 0o7777 } : {}),
  });
  if (!preserve || found === undefined) return;
  const { exitCode, stderr } = await machine.run(['touch', '-d', `@${Math.floor(found.mtimeMs / 1000)}`, path]);
  if (exitCode !== 0) throw new CliError(`${path}: its time could not be set: ${stderr.trim()}`);
}

/** Copies a file from a machine. `local`: undefined for stdout. */
export async function fetchFile(
  machine: MachineClient,
  { local, remote, preserve }: CopyOptions & { local: string | undefined; remote: string },
): Promise<void> {
  const hash = createHash('sha256');
  const known = await machine.files.stat(remote);
  const source = watched(machine.files.stream(remote), hash, known.type === 'file' ? known.size : undefined);
  if (local === undefined) {
    for await (const piece of source) await writeOutput('stdout', piece);
    await assertSame(machine, remote, hash.digest('hex'));
    return;
  }
  const path = (await stat(local).catch(() => undefined))?.isDirectory() ? join(local, basename(remote)) : local;
  const part = `${path}.execplane-${process.pid}`;
  try {
    const file = await open(part, 'wx');
    for await (const piece of source) await file.writeFile(piece);
    await file.sync();
    await file.close();
    await assertSame(machine, remote, hash.digest('hex'));
    if (preserve) {
      await chmod(part, known.mode);
      await utimes(part, known.modifiedAt / 1000, known.modifiedAt / 1000);
    }
    await rename(part, path);
  } finally {
    await rm(part, { force: true });
  }
}

/** A file copied into a directory keeps its own name, as with cp. */
async function remoteTarget(machine: MachineClient, path: string, name: string): Promise<string> {
  const { exitCode } = await machine.run(['test', '-d', path]);
  return exitCode === 0 ? `${path.replace(/\/$/, '')}/${name}` : path;
}

async function assertSame(machine: MachineClient, path: string, local: string): Promise<void> {
  const { stdout } = await machine.run(['sh', '-c', 'sha256sum < "$1"', 'sh', path]);
  if (stdout.split(' ')[0] === local) return;
  throw new CliError(`${path}: the received bytes differ from the file on the machine; nothing was written.`);
}

async function* watched(
  source: AsyncIterable<Uint8Array>,
  hash: { update(bytes: Uint8Array): unknown },
  total: number | undefined,
): AsyncGenerator<Uint8Array> {
  const line = new StatusLine();
  const shown = uploadProgress(line, total, { name: 'copied' });
  let sent = 0;
  try {
    for await (const piece of source) {
      hash.update(piece);
      yield piece;
      sent += piece.length;
      shown(sent);
    }
  } finally {
    line.clear();
  }
}
