import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const execute = promisify(execFile);
const MAX_OUTPUT_BYTES = 1 << 26;
/** Time limit of a tool, ms. It allows for unpacking 130 MB on a slow disk, and for a service that stops slowly. */
const TIMEOUT_MS = 600_000;
const SHOWN_LINES = 3;

/** Runs a program of the system to its end, and returns its stdout. Rejects with its error output in one line. */
export async function runTool(program: string, args: readonly string[], timeoutMs = TIMEOUT_MS): Promise<string> {
  try {
    const { stdout } = await execute(program, args, { maxBuffer: MAX_OUTPUT_BYTES, timeout: timeoutMs });
    return stdout;
  } catch (cause) {
    const { message, stderr } = cause as Error & { stderr?: string };
    const output = (stderr ?? '').trim().split('\n').slice(-SHOWN_LINES).join(' ');
    throw new Error(`${program} failed: ${output || message}`, { cause });
  }
}
