/** The stdin of an execution as a stream. */
import { backoffMs, pause } from './http/backoff.ts';
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

/** Maximum number of large pieces that are sent and not answered: one reaches the server while the machine takes the one before. */
const MAX_UNANSWERED = 3;
/** Size from which a piece is sent before the earlier ones are answered. A smaller one, such as a typed line, takes its turn. */
const LARGE_BYTES = 65_536;

/**
 * Sends writes to the command's stdin; closing the stream closes stdin. Each piece is sent with its offset, so that a repeated one is written
 * once, and none before an earlier one. A piece waits while the command has not started, or its machine or the server cannot be reached. A
 * large write settles when there is room for the next one, a small one when the machine has it. The stream errors with StdinClosedError once
 * stdin is closed.
 */
export function stdinStream(transport: Pick<Transport, 'json'>, path: string): WritableStream<Uint8Array> {
  const failed = new AbortController();
  const unanswered = new Set<Promise<void>>();
  let offset = 0;
  let signal: AbortSignal;

  /** Sends a piece. One that failed stays among the unanswered ones: the next write or the close rejects with its error. */
  function send(piece: Piece): void {
    const sent = sendPiece(transport, path, piece, signal);
    unanswered.add(sent);
    sent.then(
      () => unanswered.delete(sent),
      (error: unknown) => failed.abort(error),
    );
  }

  return new WritableStream<Uint8Array>({
    start(controller) {
      // The signal aborts immediately; `abort` of a sink is called only after the present write. The types of Node lack the signal.
      const { signal: aborted } = controller as typeof controller & { signal: AbortSignal };
      signal = AbortSignal.any([aborted, failed.signal]);
    },
    async write(chunk) {
      for (let at = 0; at < chunk.length; at += PIECE_BYTES) {
        // A copy, since the owner of the chunk may change it afterwards.
        const bytes = new Uint8Array(chunk.subarray(at, at + PIECE_BYTES));
        const isLarge = bytes.length >= LARGE_BYTES;
        while (unanswered.size > (isLarge ? MAX_UNANSWERED - 1 : 0)) await Promise.race(unanswered);
        send({ bytes, offset });
        offset += bytes.length;
        if (!isLarge) await Promise.all(unanswered);
      }
    },
    async close() {
      await Promise.all(unanswered);
      const end = { bytes: new Uint8Array(), offset, close: true };
      await sendPiece(transport, path, end, signal).catch((error: unknown) => {
        // A stdin that is closed already is the requested result.
        if (!(error instanceof StdinClosedError)) throw error;
      });
    },
  });
}

interface Piece {
  bytes: Uint8Array<ArrayBuffer>;
  offset: number;
  close?: boolean;
}

async function sendPiece(
  transport: Pick<Transport, 'json'>,
  path: string,
  { bytes, ...query }: Piece,
  signal: AbortSignal,
): Promise<void> {
  for (let failures = 0; ; failures += 1) {
    try {
      const { closed } = await transport.json('POST', `${path}/stdin`, STDIN_RESULT, {
        query,
        bytes,
        signal,
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
