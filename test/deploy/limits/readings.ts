/** Readings of cgroup files: by the commands of the test, and by the test. */
import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { sh } from './machine.ts';

/** The file with the output of a script under systemd. */
export const PRINTED = '/run/printed';

/** The readings of a command in its cgroup, immediately before its end. */
interface OwnReading {
  userMs: number;
  systemMs: number;
  peakBytes: number;
  pidsPeak: number;
  writtenBytes: number;
}

/** Prints the measurements of the cgroup that it runs in. */
export const READ_OWN = [
  'own=/sys/fs/cgroup$(cut -d: -f3 /proc/self/cgroup)',
  "awk '/^(user|system)_usec/ { print $1, $2 }' $own/cpu.stat",
  'echo peak $(cat $own/memory.peak)',
  'echo pids $(cat $own/pids.peak)',
  `echo written $(grep -o 'wbytes=[0-9]*' $own/io.stat | cut -d= -f2 | awk '{ sum += $1 } END { print sum + 0 }')`,
].join('; ');

/** Parses what READ_OWN printed. */
export function parseReading(text: string): OwnReading {
  const value = (name: string): number => Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(text)?.[1]);
  return {
    userMs: value('user_usec') / 1000,
    systemMs: value('system_usec') / 1000,
    peakBytes: value('peak'),
    pidsPeak: value('pids'),
    writtenBytes: value('written'),
  };
}

/** Runs a script under systemd, with these limits. Returns what it printed. */
export async function underSystemd(script: string, properties: string[] = []): Promise<string> {
  const accounting = ['CPUAccounting=yes', 'MemoryAccounting=yes', 'TasksAccounting=yes', 'IOAccounting=yes'];
  const flags = [...accounting, ...properties].map((property) => `--property=${property}`);
  const command = sh(`exec >${PRINTED}; ${script}`);
  await promisify(execFile)('systemd-run', ['--quiet', '--wait', '--expand-environment=no', ...flags, ...command]);
  return readFileSync(PRINTED, 'utf8');
}

/** Cgroups of commands, of all agents. */
function commandCgroups(directory = '/sys/fs/cgroup', inPool = false): string[] {
  return readdirSync(directory, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .flatMap(({ name }) => {
      const path = join(directory, name);
      return inPool ? [path] : commandCgroups(path, /^execplane-\d+-\d+-\d+$/.test(name));
    });
}

/** The cgroup of a command whose file `name` holds `value`. */
export const limited = (name: string, value: string): string | undefined =>
  commandCgroups().find((path) => readFileSync(join(path, name), 'utf8').trim() === value);
