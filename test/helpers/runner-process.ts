/** A runner in a process of its own on a directory of its own. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, onTestFinished } from 'vitest';
import type { Welcome } from '../../src/core/protocol.ts';
import { makeDirectory, removeDirectory, temporaryDirectory } from './directories.ts';
import { Started, until } from './processes.ts';
import { TestLink } from './test-link.ts';

/** The usual runner. */
export const MAIN = new URL('../../src/agent/runner/main.ts', import.meta.url).pathname;

/** A cache for compiled code: compiling is half of a runner's start, and a test run starts dozens. */
const COMPILE_CACHE = new URL('../../node_modules/.cache/execplane-tests', import.meta.url).pathname;

/** A directory that is removed after the test. */
export function agentDirectory(): string {
  return temporaryDirectory('runner');
}

/** Starts a runner and waits until it listens; `program` is another main than the usual one. It is killed after the test. */
export async function startRunner(directory: string, program = MAIN, args: readonly string[] = []): Promise<Started> {
  const runner = await startUnowned(directory, program, args);
  onTestFinished(async () => void (await runner.end('SIGKILL')));
  return runner;
}

/** Starts the process without waiting; the caller ends it. */
export function launchRunner(directory: string, program = MAIN, args: readonly string[] = []): Started {
  const env = { PATH: process.env['PATH'] ?? '', NODE_COMPILE_CACHE: COMPILE_CACHE };
  return new Started(process.execPath, [program, '--dir', directory, ...args], env);
}

async function startUnowned(directory: string, program: string, args: readonly string[]): Promise<Started> {
  const runner = launchRunner(directory, program, args);
  await until('the runner listens', async () => {
    if (!runner.running) throw new Error(`the runner has exited: ${runner.stderr}`);
    return listens(directory);
  });
  return runner;
}

/** Whether a runner accepts connections: its socket exists a moment earlier. */
export async function listens(directory: string): Promise<boolean> {
  if (!existsSync(join(directory, 'runner.sock'))) return false;
  const link = await TestLink.open(directory).catch(() => undefined);
  await link?.close();
  return link !== undefined;
}

/** A link to the runner of this directory; hung up after the test. */
export async function attach(
  directory: string,
  welcome: Partial<Welcome> = {},
  maxConcurrency?: number,
): Promise<TestLink> {
  const link = await TestLink.attach(directory, welcome, maxConcurrency);
  onTestFinished(() => link.close());
  return link;
}

/** A runner on a new directory with a link that acknowledges everything. */
export async function linkedRunner(): Promise<{ directory: string; runner: Started; link: TestLink }> {
  const directory = agentDirectory();
  const runner = await startRunner(directory);
  return { directory, runner, link: await attach(directory) };
}

/** One runner for all tests of a file; each test has its own link and finds the runner empty. */
export function sharedRunner(): () => Promise<{ directory: string; link: TestLink }> {
  const directory = makeDirectory('runner');
  let runner: Started | undefined;
  beforeAll(async () => {
    runner = await startUnowned(directory, MAIN, []);
  });
  afterAll(async () => {
    await runner?.end('SIGKILL');
    await removeDirectory(directory);
  });
  return async () => {
    const link = await TestLink.attach(directory, 'forget everything');
    onTestFinished(() => link.close());
    return { directory, link };
  };
}
