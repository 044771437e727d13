import { execFileSync } from 'node:child_process';
import { join } from 'node:path';

/** Returns the bash completion that the staged program prints. */
export function bashCompletion(program: string): string {
  return execFileSync(process.execPath, [join(program, 'dist/cli/main.js'), 'completion', 'bash'], {
    encoding: 'utf8',
  });
}
