/** Runs a runner in a separate process on a new directory. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, onTestFinished } from 'vitest';
import type { Welcome } from '../../src/core/protocol.ts';
import { makeDirectory, removeDirectory, temporaryDirectory } from './directories.ts';
import { Started, until } from './processes.ts';
import { TestLink } from './test-link.ts';

/** The main module of the runner. */
export const MAIN = new URL('../../src/agent/runner/main.ts', import.meta.url).pathname;

/** The directory for NODE_COMPILE_CACHE: half of the start of a runner is compilation, and a test run starts dozens of runners. */
const COMPILE_CACHE = new URL('../../node_modules/.cache/execplane-tests', import.meta.url).pathname;

/** Makes a directory that is removed after the test. */
export function agentDirectory(): string {
  return temporaryDirectory('runner');
}

/** Starts a runner and waits until it listens. Kills it after the test. `program`: the main module to run. */
export async function startRunner(directory: string, program = MAIN, args: readonly string[] = []): Promise<Started> {
  const runner = await startUnowned(directory, program, args);
  onTestFinished(async () => void (await runner.end('SIGKILL')));
  return runner;
}

/** Starts a runner without waiting. The caller ends it. */
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

/** Whether a runner accepts connections. The file of its socket exists before the runner listens. */
export async function listens(directory: string): Promise<boolean> {
  if (!existsSync(join(directory, 'runner.sock'))) return false;
  const link = await TestLink.open(directory).catch(() => undefined);
  await link?.close();
  return link !== undefined;
}

/** Connects a link to the runner of this directory. Closes it after the test. */
export async function attach(
  directory: string,
  welcome: Partial<Welcome> = {},
  maxConcurrency?: number,
): Promise<TestLink> {
  const link = await TestLink.attach(directory, welcome, maxConcurrency);
  onTestFinished(() => link.close());
  return link;
}

/** Starts a runner on a new directory, with a link that acknowledges all reports. */
export async function linkedRunner(): Promise<{ directory: string; runner: Started; link: TestLink }> {
  const directory = agentDirectory();
  const runner = await startRunner(directory);
  return { directory, runner, link: await attach(directory) };
}

/** Starts one runner for all tests of a file. Each test gets a new link to a runner without executions. */
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
