/** A runner in a process of its own on a directory of its own. */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { Started, until } from './processes.ts';

const MAIN = new URL('../../src/agent/runner/main.ts', import.meta.url).pathname;

/** A directory that is removed after the test. */
export function agentDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'execplane-runner-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

/** Starts a runner and waits until it listens; `program` is another main than the usual one. It is killed after the test. */
export async function startRunner(directory: string, program = MAIN, env: Record<string, string> = {}): Promise<Started> {
  const path = process.env['PATH'] ?? '';
  const runner = new Started(process.execPath, [program, '--dir', directory], { PATH: path, ...env });
  onTestFinished(async () => void (await runner.end('SIGKILL')));
  await until('the runner listens', () => {
    if (!runner.running) throw new Error(`the runner has exited: ${runner.stderr}`);
    return existsSync(join(directory, 'runner.sock'));
  });
  return runner;
}
