/** Finds, ends and starts link processes on Linux. */
import { spawn } from 'node:child_process';
import { closeSync, constants, openSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { asOwnerOf } from '../../node/files/directory-owner.ts';
import { stateDirectory } from '../processes/state-directory.ts';
import { findLink } from '../processes/link-pid-file.ts';
import { endProcess } from '../processes/stop.ts';
import { processIds } from '../../node/process-table.ts';

/** The arguments, environment and user with which a link was started. */
export interface StartedAs {
  /** The arguments after `agent`. */
  args: readonly string[];
  env: Record<string, string>;
  cwd: string;
}

const MAIN = '/dist/cli/main.js';
const DETACH_TIMEOUT_MS = 10_000;
/** Longer than RestartSec= of the unit. */
const SUPERVISOR_TIMEOUT_MS = 10_000;
const POLL_INTERVAL_MS = 50;

/** Reads from /proc how the link `pid` was started. Throws if that cannot be read. */
export function startedAs(pid: number): StartedAs {
  const command = fieldsOf(pid, 'cmdline');
  const main = command.findIndex((arg) => arg.endsWith(MAIN));
  if (main === -1) {
    throw new Error(
      `the command line of the agent (pid ${pid}) cannot be read, because it holds a secret and is hidden. Give the agent its join token in a file, and restart it.`,
    );
  }
  return { args: command.slice(main + 2), env: environmentOf(pid), cwd: readlinkSync(`/proc/${pid}/cwd`) };
}

/** Returns the environment of a process, without the secrets, which a link wipes from /proc; it has a credential by now. */
function environmentOf(pid: number): Record<string, string> {
  const entries = fieldsOf(pid, 'environ').map((entry): [string, string] => {
    const at = entry.indexOf('=');
    return [entry.slice(0, Math.max(at, 0)), entry.slice(at + 1)];
  });
  return Object.fromEntries(entries.filter(([name]) => name !== ''));
}

/** Ends every link that runs the program under `root`. One that hangs is killed. */
export async function endLinksOf(root: string): Promise<void> {
  const main = join(root, MAIN);
  const links = processIds().filter((pid) => pid !== process.pid && isLinkOf(main, fieldsOf(pid, 'cmdline')));
  await Promise.all(links.map(detachLink));
}

/** Makes a link detach from its commands and end. One that hangs is killed. */
export async function detachLink(pid: number): Promise<void> {
  await endProcess(pid, 'SIGTERM', DETACH_TIMEOUT_MS);
}

/** Whether a command line is that of a link: `node MAIN agent` (`node -- MAIN agent` by the launcher) with any options. */
function isLinkOf(main: string, [, ...args]: readonly string[]): boolean {
  const [script, command, next] = args[0] === '--' ? args.slice(1) : args;
  if (script === undefined || resolve(script) !== main || command !== 'agent') return false;
  return next === undefined || next.startsWith('-');
}

/** Waits for a service manager to start the program again. If none does, starts it in the same way as before. */
export async function startedAgain(dir: string, program: string, as: StartedAs): Promise<void> {
  const until = performance.now() + SUPERVISOR_TIMEOUT_MS;
  while (performance.now() < until) {
    if (asOwnerOf(stateDirectory(dir), () => findLink(dir)) !== undefined) return;
    await delay(POLL_INTERVAL_MS);
  }
  const { uid, gid } = statSync(dir);
  const { O_APPEND, O_CREAT, O_NOFOLLOW, O_NONBLOCK, O_WRONLY } = constants;
  const flags = O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK;
  const log = asOwnerOf(stateDirectory(dir), () => openSync(join(dir, 'link.log'), flags, 0o600));
  const child = spawn(program, ['agent', ...as.args], {
    cwd: as.cwd,
    env: as.env,
    detached: true,
    stdio: ['ignore', log, log],
    // As the agent's user, if root upgrades.
    ...(process.getuid?.() === 0 ? { uid, gid } : {}),
  });
  // A failed start shows as a missing link.
  child.once('error', () => {});
  child.unref();
  closeSync(log);
}

function fieldsOf(pid: number, file: 'cmdline' | 'environ'): string[] {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8').split('\0').slice(0, -1);
  } catch {
    return [];
  }
}
