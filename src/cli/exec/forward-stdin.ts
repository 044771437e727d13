import { fstatSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { isatty } from 'node:tty';
import { ApiFailure } from '../http/api-failure.ts';
import type { Api } from '../http/http.ts';
import { executionPath } from '../http/wire.ts';

const STDIN = 0;
const FIRST_PAUSE_MS = 50;
const MAX_PAUSE_MS = 2000;

/** Whether there is anything to forward: not where stdin is closed, or is /dev/null. */
export function hasStdin(): boolean {
  try {
    return !fstatSync(STDIN).isCharacterDevice() || isatty(STDIN);
  } catch {
    return false;
  }
}

/** Bytes that stdin has, where it is a file. */
export function stdinSize(): number | undefined {
  const stat = fstatSync(STDIN);
  return stat.isFile() ? stat.size : undefined;
}

/**
 * Sends stdin on as it comes, then its end. Every piece says where it belongs, so that repeating it does no harm.
 * Ends by itself when the command reads no more; `signal` aborts when the command has ended. `onSent`: bytes sent in all.
 */
export async function forwardStdin(
  api: Api,
  machineId: string,
  executionId: string,
  signal: AbortSignal,
  onSent: (bytes: number) => void = () => {},
): Promise<void> {
  const path = `${executionPath(machineId, executionId)}/stdin`;
  let offset = 0;
  const input = process.stdin;
  const stop = () => input.destroy();
  signal.addEventListener('abort', stop);
  try {
    for await (const chunk of input as AsyncIterable<Buffer>) {
      if (!(await send(api, path, chunk, { offset }, signal))) return;
      offset += chunk.length;
      onSent(offset);
    }
    if (!signal.aborted) await send(api, path, new Uint8Array(), { offset, close: true }, signal);
  } finally {
    signal.removeEventListener('abort', stop);
    input.destroy();
  }
}

/**
 * False where nothing more is read at the other end. While the machine is away, or the server is, the piece waits here;
 * the end of the command is what ends that.
 */
async function send(
  api: Api,
  path: string,
  bytes: Uint8Array,
  query: { offset: number; close?: true },
  signal: AbortSignal,
): Promise<boolean> {
  for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(2 * pause, MAX_PAUSE_MS)) {
    try {
      const { closed } = await api.json<{ closed?: boolean }>('POST', path, { query, bytes, signal });
      return closed !== true;
    } catch (error) {
      if (signal.aborted || isFinal(error)) return false;
    }
    await delay(pause, undefined, { signal }).catch(() => {});
  }
}

function isFinal(error: unknown): boolean {
  if (!(error instanceof ApiFailure) || error.isTransient) return false;
  return error.code !== 'INVALID_STATE' || error.reason === 'not_open';
}
