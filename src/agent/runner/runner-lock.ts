import { linkSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { nanoid } from 'nanoid';
import { parseJson } from '../../core/json.ts';
import { errorCode } from '../../node/error-code.ts';
import { readRegularFile } from '../../node/private-file.ts';
import { isAlive, type ProcessIdentity, processIdentity } from '../../node/process-identity.ts';
import { isProcessIdentity } from '../schemas/checks.ts';

const NAME = /^runner\.pid\.(\d+)$/;

const POLL_INTERVAL_MS = 50;

/** Locks `directory` within `waitMs`. Returns false if another runner holds it and stays. */
export async function lockWithin(directory: string, waitMs: number): Promise<boolean> {
  const giveUpAt = performance.now() + waitMs;
  while (!lockDirectory(directory)) {
    if (performance.now() >= giveUpAt) return false;
    await sleep(POLL_INTERVAL_MS);
  }
  return true;
}

/**
 * Makes this process the only runner of `directory`. Returns false if another one is. Each runner creates, atomically, a file with the number
 * after the highest one. A number is never reused, and is removed only by the holder of a higher one: a process that read too early and
 * creates a low number finds a higher one, and yields. The kernel's own lock, flock(2), is not available in Node.
 */
export function lockDirectory(directory: string): boolean {
  const self = processIdentity(process.pid);
  if (self === undefined) throw new Error('this process is not in the process table');
  const draft = join(directory, `runner.pid.${nanoid()}.new`);
  writeFileSync(draft, JSON.stringify(self), { mode: 0o600 });
  try {
    for (;;) {
      const highest = Math.max(0, ...taken(directory));
      if (highest > 0 && holderAlive(join(directory, `runner.pid.${highest}`))) return false;
      const ownNumber = highest + 1;
      if (!create(draft, join(directory, `runner.pid.${ownNumber}`))) continue;
      if (Math.max(...taken(directory)) === ownNumber) {
        for (const number of taken(directory))
          if (number < ownNumber) rmSync(join(directory, `runner.pid.${number}`), { force: true });
        return true;
      }
      rmSync(join(directory, `runner.pid.${ownNumber}`), { force: true });
    }
  } finally {
    rmSync(draft, { force: true });
  }
}

/** Returns the pid of the runner that holds `directory`. Undefined if none does, or if it cannot be seen. */
export function findRunner(directory: string): number | undefined {
  try {
    const highest = Math.max(0, ...taken(directory));
    const holder = readHolder(join(directory, `runner.pid.${highest}`));
    return holder !== undefined && isAlive(holder) ? holder.pid : undefined;
  } catch {
    return undefined;
  }
}

function taken(directory: string): number[] {
  return readdirSync(directory)
    .map((name) => NAME.exec(name)?.[1])
    .filter((number) => number !== undefined)
    .map(Number);
}

/** Creates a file together with its content. Returns false if the name is taken. */
function create(draft: string, path: string): boolean {
  try {
    linkSync(draft, path);
    return true;
  } catch (error) {
    if (errorCode(error) === 'EEXIST') return false;
    throw error;
  }
}

function holderAlive(path: string): boolean {
  try {
    const holder = readHolder(path);
    return holder !== undefined && isAlive(holder);
  } catch {
    return false;
  }
}

function readHolder(path: string): ProcessIdentity | undefined {
  const value = parseJson(readRegularFile(path)?.bytes.toString() ?? '');
  return isProcessIdentity(value) ? value : undefined;
}
