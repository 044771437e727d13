/** The output of an execution as it comes, until the execution has ended: the bytes of one stream, or both streams in frames. */
import { isTerminal, type Stream } from '../../../core/execution.ts';
import type { Execution, Store } from '../../../store/store.ts';
import { watchCommits } from '../../control/live/watch-commits.ts';
import type { HttpContext } from '../http-context.ts';

const PIECE_BYTES = 262_144;
/** A reader looks for new bytes at least this often, and records its presence as often. */
const POLL_INTERVAL_MS = 30_000;

interface Followed {
  execution: Execution;
  /** Returns the next bytes; none if there are no more yet. */
  next: () => Promise<Buffer>;
  signal: AbortSignal;
}

/** Returns a reader of one stream from `start` on. */
export function readerOf(store: Pick<Store, 'readStream'>, executionId: string, stream: Stream, start: number) {
  let offset = start;
  return async (): Promise<Buffer> => {
    const bytes = await store.readStream({ executionId, stream, offset, maxBytes: PIECE_BYTES });
    offset += bytes.length;
    return bytes;
  };
}

/** The numbers of the streams in frames. */
const STREAM_NUMBERS = { stdout: 1, stderr: 2 } as const;
/** Number of the stream, three zeros, four bytes for the length of what follows (big-endian): Docker's multiplexed stream. */
const FRAME_HEADER_BYTES = 8;

/** Returns a reader of both streams from `start` on, in frames: a frame is one piece, in the order in which the agent read them. */
export function mergedReaderOf(store: Pick<Store, 'readMerged'>, executionId: string, start: Record<Stream, number>) {
  const offsets = { ...start };
  return async (): Promise<Buffer> => {
    const chunks = await store.readMerged({ executionId, offsets });
    return Buffer.concat(
      chunks.flatMap(({ stream, bytes }) => {
        offsets[stream] += bytes.length;
        const header = Buffer.alloc(FRAME_HEADER_BYTES);
        header.writeUInt8(STREAM_NUMBERS[stream], 0);
        header.writeUInt32BE(bytes.length, FRAME_HEADER_BYTES - 4);
        return [header, bytes];
      }),
    );
  };
}

/** Yields what `next` returns until the execution has ended and nothing more comes. A connected reader counts as reading, however slow it is. */
export async function* followedOutput(
  context: Pick<HttpContext, 'store' | 'control' | 'now' | 'logger'>,
  p: Followed,
): AsyncGenerator<Buffer> {
  const { store, now } = context;
  const { executionId, outputMode } = p.execution;
  const noteReading = (): void => {
    store.outputRead({ executionId, until: now() }).catch((err: unknown) => {
      context.logger.warn({ err }, 'the time at which output was last read could not be written; trying again in 30 s');
    });
  };
  const timer = outputMode === 'stream' ? setInterval(noteReading, POLL_INTERVAL_MS).unref() : undefined;
  try {
    yield* bytesAsTheyCome(context, p);
  } finally {
    clearInterval(timer);
  }
}

/** The state is read before the bytes: after an end was seen, one more read finds all bytes. */
async function* bytesAsTheyCome(
  { store, control }: Pick<HttpContext, 'store' | 'control'>,
  { execution, next, signal }: Followed,
): AsyncGenerator<Buffer> {
  const { executionId, machineId } = execution;
  const commits = watchCommits(control, executionId);
  try {
    let latest = await store.getExecution({ machineId, executionId });
    while (!signal.aborted) {
      const ended = latest === undefined || isTerminal(latest.status);
      for (;;) {
        const bytes = await next();
        if (bytes.length === 0) break;
        yield bytes;
      }
      if (ended) return;
      const committed = await commits.next(POLL_INTERVAL_MS, signal);
      latest = committed ? commits.latest() : await store.getExecution({ machineId, executionId });
    }
  } finally {
    commits.close();
  }
}
