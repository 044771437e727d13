/** Starts processes that are killed when the bench ends, however it ends. */
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import type { Readable } from 'node:stream';
import { once } from 'node:events';

export type Child = ChildProcessByStdio<null, Readable, null>;

const children = new Set<Child>();
process.once('exit', () => {
  for (const child of children) child.kill('SIGKILL');
});

/** Starts a TypeScript file with Node. Its stdout is a pipe. */
export function startNode(args: readonly string[], env: Record<string, string> = {}): Child {
  const child = spawn(process.execPath, args, {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  children.add(child);
  child.once('exit', () => children.delete(child));
  return child;
}

/** Sends SIGTERM to the children that run, and waits until they have exited. */
export async function endAll(processes: readonly Child[]): Promise<void> {
  const running = processes.filter((child) => children.has(child));
  const exits = running.map((child) => once(child, 'exit'));
  for (const child of running) child.kill('SIGTERM');
  await Promise.all(exits);
}
