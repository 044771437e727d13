/** Determines in advance the error that execve(2) would return for a command, because the platform's own spawn hides it. */
import { accessSync, closeSync, constants, existsSync, openSync, readSync, statSync } from 'node:fs';
import { resolve } from 'node:path';
import type { SpawnRequest, SpawnStage } from './spawner.ts';

const DEFAULT_PATH = '/bin:/usr/bin';
const PEEK_BYTES = 256;
/** Stands for the beginning of a file that cannot be read: like the first bytes of a program, it is not text. */
const UNREADABLE = '\0';
/** Errors after which execvp(3) continues its search in the PATH. */
const LOOK_ON = new Set(['ENOENT', 'ENOTDIR', 'ESTALE', 'ENODEV', 'ETIMEDOUT', 'EACCES']);

export type Lookup = { ok: true; file: string } | { ok: false; stage: SpawnStage; errno: string };

/** Returns the file that `name` resolves to in the PATH of `env`, or the error with which the start would fail. */
export function lookUp(name: string, env: SpawnRequest['env'], cwd: string): Lookup {
  const badCwd = refusal(() => {
    if (!statSync(cwd).isDirectory()) throw errno('ENOTDIR');
    accessSync(cwd, constants.X_OK);
  });
  if (badCwd) return { ok: false, stage: 'cwd', errno: badCwd };
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
  let interpreter: string | undefined;
  const bad = refusal(() => {
    if (!statSync(file).isFile()) throw errno('EACCES');
    accessSync(file, constants.X_OK);
    const start = startOf(file);
    if (!start.includes('\0') && !start.startsWith('#!')) throw errno('ENOEXEC');
    interpreter = /^#![ \t]*([^ \t\n]+)/.exec(start)?.[1];
  });
  if (bad) return { ok: false, stage: 'exec', errno: bad };
  if (interpreter !== undefined && !existsSync(interpreter))
    return { ok: false, stage: 'interpreter', errno: 'ENOENT' };
  return { ok: true, file };
}

/**
 * Reads the first bytes of a file, which distinguish a program or a script from text, which execvp(3) would pass to a shell. A file that is
 * executable and not readable counts as a program: the kernel decides.
 */
function startOf(file: string): string {
  let descriptor: number;
  try {
    descriptor = openSync(file, 'r');
  } catch {
    return UNREADABLE;
  }
  try {
    const start = Buffer.alloc(PEEK_BYTES);
    return start.toString('latin1', 0, readSync(descriptor, start, 0, PEEK_BYTES, 0));
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

/** Returns the name of the system error (`ENOENT`); `EIO` for other errors. */
export function errnoOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : 'EIO';
}

function errno(code: string): Error {
  return Object.assign(new Error(code), { code });
}
