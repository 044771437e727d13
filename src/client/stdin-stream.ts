/** The stdin of an execution as a stream. */
import { backoffMs, pause } from './http/backoff.ts';
import type { EchoWatch } from './http/echo-watch.ts';
import { ExecplaneError, isRetryable, RefusedError } from './http/errors.ts';
import type { Transport } from './http/transport.ts';
import { STDIN_RESULT } from './http/shapes.ts';

/** The command has ended or has closed its stdin. */
export class StdinClosedError extends ExecplaneError {
  override readonly name = 'StdinClosedError';
}

const NOT_READ = 'the command does not read its stdin any more';
const RETRY = { firstMs: 50, maxMs: 2000 };
/** Maximum bytes of one request. Larger chunks are sent in several requests. */
export const PIECE_BYTES = 1_048_576;
/** Input for a terminal is sent in small pieces and is soon sent again, because its connection may be dead. A piece fits a slow connection. */
const TERMINAL = { pieceBytes: 16 * 1024, timeoutMs: 5000 };

/**
 * Sends writes to the command's stdin; closing the stream closes stdin. Each piece is sent with its offset, so that a repeated one is written
 * once. A piece waits while the command has not started, or its machine or the server cannot be reached. The stream errors with
 * StdinClosedError once stdin is closed. `echo`: the command is on a terminal.
 */
export function stdinStream(transport: Transport, path: string, echo?: EchoWatch): WritableStream<Uint8Array> {
  const pieceBytes = echo === undefined ? PIECE_BYTES : TERMINAL.pieceBytes;
  const timeoutMs = echo === undefined ? undefined : TERMINAL.timeoutMs;
  let offset = 0;
  let signal: AbortSignal;
  return new WritableStream<Uint8Array>({
    start(controller) {
      // The signal aborts immediately; `abort` of a sink is called only after the present write. The types of Node lack the signal.
      signal = (controller as typeof controller & { signal: AbortSignal }).signal;
    },
    async write(chunk) {
      for (let at = 0; at < chunk.length; at += pieceBytes) {
        const piece = chunk.subarray(at, at + pieceBytes);
        echo?.typed();
        await sendPiece(transport, path, { bytes: piece, offset }, { signal, timeoutMs });
        offset += piece.length;
      }
    },
    async close() {
      const end = { bytes: new Uint8Array(), offset, close: true };
      await sendPiece(transport, path, end, { signal, timeoutMs }).catch((error: unknown) => {
        // A stdin that is closed already is the requested result.
        if (!(error instanceof StdinClosedError)) throw error;
      });
    },
  });
}

async function sendPiece(
  transport: Transport,
  path: string,
  { bytes, ...query }: { bytes: Uint8Array; offset: number; close?: boolean },
  { signal, timeoutMs }: { signal: AbortSignal; timeoutMs: number | undefined },
): Promise<void> {
  const body = new Uint8Array(bytes);
  for (let failures = 0; ; failures += 1) {
    try {
      const { closed } = await transport.json('POST', `${path}/stdin`, STDIN_RESULT, {
        query,
        bytes: body,
        signal,
        ...(timeoutMs === undefined ? {} : { timeoutMs, attempts: 1 }),
      });
      if (closed === true && query.close !== true) throw new StdinClosedError(NOT_READ);
      return;
    } catch (cause) {
      signal.throwIfAborted();
      if (isNotOpen(cause)) throw new StdinClosedError(NOT_READ, { cause });
      if (!isWorthWaiting(cause)) throw cause;
    }
    await pause(backoffMs(failures, RETRY), signal);
  }
}

function isNotOpen(error: unknown): boolean {
  return error instanceof RefusedError && error.code === 'INVALID_STATE' && error.details['reason'] === 'not_open';
}

/** The command has not started, or its agent or the server cannot be reached. */
function isWorthWaiting(error: unknown): boolean {
  return isRetryable(error) || (error instanceof RefusedError && error.code === 'INVALID_STATE');
}
