import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { runTool } from './run-tool.ts';

const TIMEOUT_MS = 30_000;

/** Runs the program under `root` here, and returns its version. Rejects if it does not run. */
export async function tryProgram(root: string): Promise<string> {
  const program = join(root, 'bin/execplane');
  if (!existsSync(program)) throw new Error(`${root} holds no Execplane program: it has no bin/execplane`);
  const version = (await runTool(program, ['--version'], TIMEOUT_MS)).trim();
  if (!/^\d+\.\d+\.\d+\S*$/.test(version)) throw new Error(`${program} printed no version: ${version}`);
  return version;
}
