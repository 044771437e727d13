/** Copies a folder to or from a machine as a tar stream, which is unpacked beside the destination and then moved there. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { type ExecutionHandle, type MachineClient, StdinClosedError } from '../../client/main.ts';
import { readAhead } from '../../client/read-ahead.ts';
import { CliError } from '../cli-error.ts';
import type { CopyOptions } from './copy.ts';

/** `$1` is the destination, `$2` the name of the folder, `$3` makes a name unique, `$4` are options of tar. */
const UNPACK = `export LC_ALL=C
p=$1; [ -d "$p" ] && p=\${p%/}/$2
t=$p.execplane-$3; trap 'rm -rf "$t"; exit 1' TERM HUP INT
mkdir "$t" && tar -C "$t" "$4" - || { rm -rf "$t"; exit 1; }
if [ -d "$p" ]; then cp -a "$t/$2/." "$p" && rm -rf "$t"; else mv "$t/$2" "$p" && rmdir "$t"; fi`;
const PACK = `export LC_ALL=C
cd "$1" 2>/dev/null || { echo "tar: $1: No such directory" >&2; exit 1; }
exec tar -cf - .`;

/** Maximum bytes sent in one request. */
const READ_AHEAD_BYTES = 1_048_576;

/** Copies a local folder to a machine. Throws CliError. */
export async function sendFolder(
  machine: MachineClient,
  { local, remote, preserve, signal, progress }: CopyOptions & { local: string; remote: string },
): Promise<void> {
  const name = basename(resolve(local));
  const mark = `${process.pid}-${Date.now()}`;
  const argv = ['sh', '-c', UNPACK, 'sh', remote, name, mark, preserve ? '-xpf' : '-xmf'];
  const handle = await machine.start(argv, { stdin: 'open' });
  endWith(signal, handle);
  // Read at once: output that a process has printed is lost if it exits first. In a group of its own it does not receive Ctrl-C.
  const tar = spawn('tar', ['-C', dirname(resolve(local)), '-cf', '-', '--', name], {
    stdio: ['ignore', 'pipe', 'inherit'],
    detached: true,
  });
  const ended = once(tar, 'close') as Promise<[number | null]>;
  const sent = feed(handle, progress.watch(tar.stdout, { total: undefined }), ended);
  const result = await Promise.all([handle.result, sent]).then(([end]) => end);
  const [code] = await ended;
  signal.throwIfAborted();
  if (result.status !== 'succeeded') throw await failureOf(handle, remote);
  if (code !== 0) throw new CliError(`${local}: tar could not read all of it (exit code ${code}).`);
}

/** Copies a folder from a machine. Throws CliError. */
export async function fetchFolder(
  machine: MachineClient,
  { local, remote, preserve, signal, progress }: CopyOptions & { local: string; remote: string },
): Promise<void> {
  const isThere = (await stat(local).catch(() => undefined))?.isDirectory() === true;
  const path = resolve(isThere ? join(local, basename(remote)) : local);
  const work = await mkdtemp(`${path}.execplane-`);
  try {
    const unpacked = join(work, 'folder');
    await mkdir(unpacked);
    const handle = await machine.start(['sh', '-c', PACK, 'sh', remote], { stdin: 'none', output: 'stream' });
    endWith(signal, handle);
    const tar = spawn('tar', ['-C', unpacked, preserve ? '-xpf' : '-xmf', '-'], {
      stdio: ['pipe', 'inherit', 'inherit'],
      detached: true,
    });
    const ended = once(tar, 'close');
    // tar ends at the end mark of the archive, and may leave the padding unread. Its exit code shows whether the archive was complete.
    const fed = pipeline(progress.watch(handle.stdout, { total: undefined }), tar.stdin).catch((error: Error) => error);
    const [code] = (await ended) as [number | null];
    const cause = await fed;
    signal.throwIfAborted();
    if ((await handle.result).status !== 'succeeded') throw await failureOf(handle, remote);
    if (code !== 0) throw new CliError(`${local}: tar could not write all of it (exit code ${code}).`, { cause });
    await rename(unpacked, path).catch((cause: Error) => {
      throw new CliError(`${path} exists already and is not empty.`, {
        hint: 'Remove it, or name another folder.',
        cause,
      });
    });
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** Cancels the command when the copy is aborted. After the end of the command this does nothing. */
function endWith(signal: AbortSignal, handle: ExecutionHandle): void {
  signal.addEventListener('abort', () => void handle.cancel().catch(() => {}), { once: true });
}

/** Sends the archive as stdin. If tar was killed, the archive is incomplete, and stdin is aborted so that it is not unpacked. */
async function feed(
  handle: ExecutionHandle,
  archive: AsyncIterable<Uint8Array>,
  ended: Promise<[number | null]>,
): Promise<void> {
  const writer = handle.stdin.getWriter();
  try {
    for await (const piece of readAhead(archive, READ_AHEAD_BYTES)) await writer.write(piece);
    const [code] = await ended;
    if (code === null) await handle.cancel();
    else await writer.close();
  } catch (error) {
    if (!(error instanceof StdinClosedError)) throw error;
  }
}

async function failureOf(handle: ExecutionHandle, path: string): Promise<CliError> {
  // The first error explains the others.
  const bytes = await Array.fromAsync(handle.kept('stderr'));
  const output = Buffer.concat(bytes).toString().trim().split('\n')[0];
  const { errorMessage, status } = await handle.result;
  return new CliError(`${path}: ${output || errorMessage || status}`);
}
