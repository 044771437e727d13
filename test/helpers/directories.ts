/** Temporary directories of tests, removed when no process of the test uses them any more. */
import { mkdtempSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { commandLine, killAll, processesWith, until } from './processes.ts';

/** The time limit for a process to exit, ms. */
const LEAVING_MS = 30_000;

/** Makes a directory, which the caller removes. */
export function makeDirectory(name: string): string {
  return mkdtempSync(join(tmpdir(), `execplane-${name}-`));
}

/** Makes a directory that is removed after the test. */
export function temporaryDirectory(name: string): string {
  const directory = makeDirectory(name);
  onTestFinished(() => removeDirectory(directory));
  return directory;
}

/**
 * Removes `directory` after the processes with this directory in their command line or environment have exited. A process that
 * does not exit in time is killed, and the function throws. A process without the directory in its command line, such as the
 * child of a command, can still write there, so the removal is retried.
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
