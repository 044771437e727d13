/** Temporary directories of tests, removed when no process writes into them any more. */
import { mkdtempSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { commandLine, killAll, processesWith, until } from './processes.ts';

/** The time that a stopping process may take, ms. */
const LEAVING_MS = 30_000;

/** A new directory, which the caller removes. */
export function makeDirectory(name: string): string {
  return mkdtempSync(join(tmpdir(), `execplane-${name}-`));
}

/** A new directory, removed after the test. */
export function temporaryDirectory(name: string): string {
  const directory = makeDirectory(name);
  onTestFinished(() => removeDirectory(directory));
  return directory;
}

/**
 * Removes `directory` once the processes that were started on it have exited. One that stays is killed and fails the test.
 * What a command left behind may still write, and names no directory: the removal is tried again then.
 */
export async function removeDirectory(directory: string): Promise<void> {
  let left: number[] = [];
  const gone = () => {
    left = processesWith(directory);
    return left.length === 0;
  };
  const staying = await until('they have exited', gone, LEAVING_MS).then(
    () => [],
    () => left.map(commandLine),
  );
  killAll(left);
  await rm(directory, { recursive: true, force: true, maxRetries: 10, retryDelay: 20 });
  if (staying.length > 0) throw new Error(`still running on ${directory}:\n${staying.join('\n')}`);
}
