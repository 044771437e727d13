/** What execve(2) would say of a command, found out beforehand where the platform's own spawn would hide it. */
import { accessSync, closeSync, constants, openSync, readSync, statSync } from 'node:fs';
import { resolve } from 'node:path';
import type { SpawnRequest, SpawnStage } from './spawner.ts';

const DEFAULT_PATH = '/bin:/usr/bin';
const PEEK_BYTES = 256;
/** With these execvp(3) looks on in the PATH. */
const LOOK_ON = new Set(['ENOENT', 'ENOTDIR', 'ESTALE', 'ENODEV', 'ETIMEDOUT', 'EACCES']);

export type Lookup = { ok: true; file: string } | { ok: false; stage: SpawnStage; errno: string };

/** The file that `argv[0]` names in the PATH of `env`, or how the start would fail. */
export function lookUp({ argv, env, cwd }: Pick<SpawnRequest, 'argv' | 'env' | 'cwd'>): Lookup {
  const badCwd = refusal(() => {
    if (!statSync(cwd).isDirectory()) throw errno('ENOTDIR');
    accessSync(cwd, constants.X_OK);
  });
  if (badCwd) return { ok: false, stage: 'cwd', errno: badCwd };
  const name = argv[0] ?? '';
  if (name === '') return { ok: false, stage: 'exec', errno: 'ENOENT' };
  if (name.includes('/')) return judge(resolve(cwd, name));
  let verdict: Lookup = { ok: false, stage: 'exec', errno: 'ENOENT' };
  for (const directory of (env['PATH'] ?? DEFAULT_PATH).split(':')) {
    const found = judge(resolve(cwd, directory, name));
    if (found.ok || !LOOK_ON.has(found.errno)) return found;
    if (found.errno === 'EACCES') verdict = found;
  }
  return verdict;
}

function judge(file: string): Lookup {
  const bad = refusal(() => {
    if (!statSync(file).isFile()) throw errno('EACCES');
    accessSync(file, constants.X_OK);
    if (isPlainText(file)) throw errno('ENOEXEC');
  });
  return bad ? { ok: false, stage: 'exec', errno: bad } : { ok: true, file };
}

/** A file that the kernel would not run but that execvp(3) would hand to a shell. */
function isPlainText(file: string): boolean {
  let descriptor: number;
  try {
    descriptor = openSync(file, 'r');
  } catch {
    return false; // executable and not readable: the kernel's business
  }
  try {
    const start = Buffer.alloc(PEEK_BYTES);
    const text = start.subarray(0, readSync(descriptor, start, 0, PEEK_BYTES, 0));
    return !text.includes(0) && text.toString('latin1', 0, 2) !== '#!';
  } finally {
    closeSync(descriptor);
  }
}

function refusal(check: () => void): string | undefined {
  try {
    check();
    return undefined;
  } catch (error) {
    return errnoOf(error);
  }
}

/** The name of the system error (`ENOENT`); `EIO` for what is none. */
export function errnoOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : 'EIO';
}

function errno(code: string): Error {
  return Object.assign(new Error(code), { code });
}
