import { accessSync, constants, existsSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';

/** The file that execvp(3) would run for `command`: a path as it is, a bare name as PATH has it; undefined for none. */
export function findExecutable(command: string, path: string, cwd: string): string | undefined {
  if (command.includes('/')) {
    const file = resolve(cwd, command);
    return existsSync(file) ? file : undefined;
  }
  return path
    .split(':')
    .map((directory) => join(resolve(cwd, directory), command))
    .find(isExecutable);
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch {
    return false;
  }
}
