import { execFileSync } from 'node:child_process';
import { join } from 'node:path';

/** The bash completion, as the staged program prints it. */
export function bashCompletion(program: string): string {
  return execFileSync(process.execPath, [join(program, 'dist/cli/main.js'), 'completion', 'bash'], {
    encoding: 'utf8',
  });
}
