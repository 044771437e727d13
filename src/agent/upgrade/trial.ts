import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { runTool } from './run-tool.ts';

const PATIENCE_MS = 30_000;

/** The version of the program under `root`, which has to run here to tell it. Rejects where it does not. */
export async function tryProgram(root: string): Promise<string> {
  const program = join(root, 'bin/execplane');
  if (!existsSync(program)) throw new Error(`${root} holds no program of Execplane: there is no bin/execplane`);
  const version = (await runTool(program, ['--version'], PATIENCE_MS)).trim();
  if (!/^\d+\.\d+\.\d+\S*$/.test(version)) throw new Error(`${program} does not say its version: ${version}`);
  return version;
}
