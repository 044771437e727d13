/** The floor of a program in C: starts by posix_spawn(3), one at a time. It is compiled for the run, where a C compiler is installed. */
import { execFile, execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { COMMAND } from './spawn.ts';

const SOURCE = fileURLToPath(new URL('./posix-spawn.c', import.meta.url));
/** More than the times of one slice take. */
const MAX_OUTPUT_BYTES = 16 * 1024 * 1024;

export interface PosixSpawn {
  /** Starts commands one at a time for `ms`. Returns the number of ends per second. Adds the ms of each to `times`. */
  run: (ms: number, times: number[]) => Promise<number>;
  dispose: () => void;
}

/** Compiles the program. Undefined without a C compiler. */
export function compilePosixSpawn(): PosixSpawn | undefined {
  const folder = mkdtempSync(join(tmpdir(), 'execplane-posix-spawn-'));
  const program = join(folder, 'posix-spawn');
  const dispose = (): void => rmSync(folder, { recursive: true, force: true });
  try {
    execFileSync('cc', ['-O2', '-o', program, SOURCE], { stdio: 'ignore' });
  } catch {
    dispose();
    return undefined;
  }
  return {
    run: async (ms, times) => {
      const options = { maxBuffer: MAX_OUTPUT_BYTES };
      const { stdout } = await promisify(execFile)(program, [String(ms), COMMAND], options);
      const own = stdout
        .trim()
        .split('\n')
        .map((line) => Number(line) / 1000);
      times.push(...own);
      return (own.length * 1000) / own.reduce((sum, time) => sum + time, 0);
    },
    dispose,
  };
}
