/** A running `execplane exec`. The test controls its three streams. */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Writable } from 'node:stream';
import { baseEnv, MAIN, type ServerUnderTest } from '../helpers/harness.ts';

export interface Exec {
  child: ChildProcessWithoutNullStreams;
  stdin: Writable;
  /** The output so far. */
  readonly stdout: string;
  /** Settles when stdout equals or matches the text; rejects if the process ends without it. */
  printed(wanted: string | RegExp): Promise<void>;
  closeStdout(): void;
  exited: Promise<{ code: number | null; stdout: Buffer; stderr: Buffer }>;
}

export function startExec(server: ServerUnderTest, args: readonly string[]): Exec {
  const env = baseEnv({ EXECPLANE_URL: server.url, EXECPLANE_API_KEY: server.key });
  const child = spawn(process.execPath, [MAIN, 'exec', ...args], { env });
  const out: Buffer[] = [];
  const err: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => out.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => err.push(chunk));
  // The process may exit before all input is written, which closes its stdin.
  child.stdin.on('error', () => {});
  const text = () => Buffer.concat(out).toString('utf8');
  return {
    child,
    stdin: child.stdin,
    get stdout() {
      return text();
    },
    async printed(wanted) {
      const is = () => (typeof wanted === 'string' ? text() === wanted : wanted.test(text()));
      const ended = once(child, 'close').then(() => {
        if (!is()) throw new Error(`it ended, having printed ${text()} and ${Buffer.concat(err)}`);
      });
      ended.catch(() => {});
      while (!is()) await Promise.race([once(child.stdout, 'data'), ended]);
    },
    closeStdout: () => child.stdout.destroy(),
    exited: once(child, 'close').then(([code]) => {
      child.stdin.destroy();
      return { code: code as number | null, stdout: Buffer.concat(out), stderr: Buffer.concat(err) };
    }),
  };
}
