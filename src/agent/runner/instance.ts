import { renameSync, rmSync, statSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { nanoid } from 'nanoid';
import { parseJson } from '../../core/json.ts';
import { readRegularFile } from '../../node/private-file.ts';
import { isInstanceFile } from '../schemas/checks.ts';
import type { InstanceFile } from '../schemas/files.ts';

/** The state that a runner leaves for the next one when it exits in order, so that the server can send starts in transit again. */
export interface Instance {
  runnerInstance: string;
  /** The highest dispatch number that was accepted. */
  lastDispatchNumber: number;
}

const NAME = 'instance.json';

/**
 * Continues the instance of the last runner, once, or begins a new one: after a crash or a reboot it is unknown which starts had arrived.
 */
export function takeInstance(directory: string, bootId: string): Instance {
  const left = take(join(directory, NAME));
  return left !== undefined && left.boot_id === bootId && left.directory === identityOf(directory)
    ? { runnerInstance: left.runner_instance, lastDispatchNumber: left.last_dispatch_number }
    : { runnerInstance: nanoid(), lastDispatchNumber: 0 };
}

/**
 * Leaves `instance` for the next runner; this is the last action of a runner. If the disk has no room, or the directory is
 * gone, the next runner is another instance, which is always safe.
 */
export function leaveInstance(directory: string, bootId: string, instance: Instance): void {
  const path = join(directory, NAME);
  try {
    const left: InstanceFile = {
      runner_instance: instance.runnerInstance,
      last_dispatch_number: instance.lastDispatchNumber,
      boot_id: bootId,
      directory: identityOf(directory),
    };
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
  let text: string | undefined;
  try {
    text = readRegularFile(path)?.bytes.toString();
    unlinkSync(path);
  } catch {
    return undefined;
  }
  const left = parseJson(text ?? '');
  return isInstanceFile(left) ? left : undefined;
}
