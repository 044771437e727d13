import { readFileSync, renameSync, rmSync, statSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { nanoid } from 'nanoid';
import { parseJson } from '../../core/json.ts';
import { isInstanceFile } from '../schemas/checks.ts';
import type { InstanceFile } from '../schemas/files.ts';

/** What one runner leaves for the next when it leaves cleanly, so that starts on their way to it can be sent again. */
export interface Instance {
  runnerInstance: string;
  /** The highest dispatch number taken on. */
  lastDispatchNumber: number;
}

const NAME = 'instance.json';

/**
 * Takes over what the last runner left, once, or begins a new instance: after a crash, or a reboot, nobody knows which
 * starts had arrived.
 */
export function takeInstance(directory: string, bootId: string): Instance {
  const left = take(join(directory, NAME));
  return left !== undefined && left.boot_id === bootId && left.directory === identityOf(directory)
    ? { runnerInstance: left.runner_instance, lastDispatchNumber: left.last_dispatch_number }
    : { runnerInstance: nanoid(), lastDispatchNumber: 0 };
}

/**
 * Leaves `instance` for the next runner; the last thing a runner does. Where the disk does not take it, the next runner is
 * another instance, which is always safe.
 */
export function leaveInstance(directory: string, bootId: string, instance: Instance): void {
  const path = join(directory, NAME);
  const left: InstanceFile = {
    runner_instance: instance.runnerInstance,
    last_dispatch_number: instance.lastDispatchNumber,
    boot_id: bootId,
    directory: identityOf(directory),
  };
  try {
    writeFileSync(`${path}.new`, JSON.stringify(left), { mode: 0o600 });
    renameSync(`${path}.new`, path);
  } catch {
    rmSync(`${path}.new`, { force: true });
  }
}

function identityOf(directory: string): string {
  const { dev, ino } = statSync(directory, { bigint: true });
  return `${dev}:${ino}`;
}

function take(path: string): InstanceFile | undefined {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
    unlinkSync(path);
  } catch {
    return undefined;
  }
  const left = parseJson(text);
  return isInstanceFile(left) ? left : undefined;
}
