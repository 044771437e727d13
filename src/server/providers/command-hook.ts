/** A provider that is a command. It gets the request on stdin, and prints the answer as the last line of stdout. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ProviderAnswer, ProviderRequest } from '../control/lifecycle/provider.ts';
import { failure, MAX_ANSWER_BYTES, readAnswer, withoutSecrets, withoutToken } from './answer.ts';
import { killAll, killTree } from './process-tree.ts';

/** Exit code of a temporary failure (sysexits.h). */
const EX_TEMPFAIL = 75;
/** Time for which a child of the hook may keep its pipes open after the hook has ended, in ms. */
const PIPES_MS = 1000;
const STDERR_CHARS = 2000;

export interface CommandHook {
  command: readonly string[];
  /** The whole environment of the command. */
  env: Readonly<Record<string, string>>;
  timeoutMs: number;
}

/**
 * Runs the hook once. First ends an earlier attempt that a killed server left running. Ends the hook and all its processes at the time limit,
 * when `signal` aborts, or when it prints too much.
 */
export async function runCommandHook(
  hook: CommandHook,
  request: ProviderRequest,
  signal: AbortSignal,
): Promise<ProviderAnswer> {
  const marker = `EXECPLANE_OPERATION_ID=${request.operation_id}`;
  if (request.attempt > 1 && request.operation !== 'describe') await killAll(marker);
  const [program = '', ...args] = hook.command;
  const child = spawn(program, args, {
    env: { ...hook.env, EXECPLANE_OPERATION_ID: request.operation_id },
    stdio: ['pipe', 'pipe', 'pipe'],
    detached: true,
  });
  const output = collect(child);
  const exited = exitOf(child);
  // A hook may end without reading its input.
  child.stdin?.on('error', () => {});
  child.stdin?.end(`${JSON.stringify(request)}\n`);

  const limits = new AbortController();
  const cause = await Promise.race([
    exited.then(() => 'exited' as const),
    output.exceeded.then(() => 'flooded' as const),
    sleep(hook.timeoutMs, 'timed_out' as const, { signal: limits.signal }),
    aborted(signal, limits.signal),
  ]).finally(() => limits.abort());
  if (cause !== 'exited' && child.pid !== undefined) await killTree(child.pid, marker);
  const exit = await exited;
  await output.closed;
  if (cause === 'timed_out') return failure(`the hook did not answer within ${hook.timeoutMs} ms`, true);
  if (cause === 'flooded') return failure(`the hook printed more than ${MAX_ANSWER_BYTES} bytes`, true);
  if (cause === 'aborted') return failure('the server stops', true);
  const cleaned = (text: string): string => withoutSecrets(withoutToken(text, request), hook.env);
  return answerOf(exit, { stdout: cleaned(output.stdout()), stderr: cleaned(output.stderr()) });
}

type Exit = { code: number | null; signal: NodeJS.Signals | null } | { error: Error };

function answerOf(exit: Exit, { stdout, stderr }: { stdout: string; stderr: string }): ProviderAnswer {
  if ('error' in exit) return failure(`the hook could not be started: ${exit.error.message}`, true);
  const lastLine = stdout.trimEnd().split('\n').at(-1) ?? '';
  const answer = readAnswer(lastLine);
  if (answer !== undefined) return answer;
  const ending = exit.signal === null ? `exited with code ${exit.code}` : `was ended by ${exit.signal}`;
  const output = stderr.trim();
  return failure(`the hook ${ending} without an answer${output === '' ? '' : `: ${output}`}`, isRetryable(exit));
}

/** Whether a hook is tried again: it was killed, or reported a temporary failure. */
function isRetryable({ code, signal }: Exclude<Exit, { error: Error }>): boolean {
  return signal !== null || code === EX_TEMPFAIL;
}

interface Collected {
  stdout(): string;
  stderr(): string;
  /** Settles when stdout exceeds the maximum size of an answer. */
  exceeded: Promise<void>;
  /** Settles when both pipes are closed, or some time after the end of the hook. */
  closed: Promise<void>;
}

function collect(child: ChildProcess): Collected {
  const chunks: Buffer[] = [];
  let bytes = 0;
  let tail = '';
  const exceeded = new Promise<void>((resolve) => {
    child.stdout?.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes <= MAX_ANSWER_BYTES) chunks.push(chunk);
      else resolve();
    });
  });
  child.stderr?.on('data', (chunk: Buffer) => {
    tail += chunk.toString('utf8');
    // Without the word that is cut: a part of the join token would not be recognized.
    if (tail.length > STDERR_CHARS) tail = tail.slice(-STDERR_CHARS).replace(/^\S+/, '');
  });
  const ended = new Promise<void>((resolve) => {
    child.once('close', () => resolve());
    child.once('error', () => resolve());
    child.once('exit', () => {
      // A process that the hook left running may keep a pipe open. Its output is not part of the answer.
      const giveUp = setTimeout(() => {
        child.stdout?.destroy();
        child.stderr?.destroy();
        resolve();
      }, PIPES_MS);
      child.once('close', () => clearTimeout(giveUp));
    });
  });
  return { stdout: () => Buffer.concat(chunks).toString('utf8'), stderr: () => tail, exceeded, closed: ended };
}

async function exitOf(child: ChildProcess): Promise<Exit> {
  try {
    const [code, signal] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null];
    return { code, signal };
  } catch (error) {
    return { error: error as Error };
  }
}

/** Settles when `signal` aborts. Never settles once `over` has. */
function aborted(signal: AbortSignal, over: AbortSignal): Promise<'aborted'> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve('aborted');
    signal.addEventListener('abort', () => resolve('aborted'), { once: true, signal: over });
  });
}
