/** Follows the output of an execution until the execution has ended: the bytes of one stream, or both streams in frames. */
import { isTerminal, type Stream } from '../../../core/execution.ts';
import type { Execution, Store } from '../../../store/store.ts';
import { watchCommits } from '../../control/live/watch-commits.ts';
import type { HttpContext } from '../http-context.ts';

const PIECE_BYTES = 262_144;
/** Interval at which a reader polls for new bytes and records its presence, ms. */
const POLL_INTERVAL_MS = 30_000;

interface Followed {
  execution: Execution;
  /** Returns the next bytes; an empty buffer if there are none yet. */
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
/** Header of a frame in Docker's multiplexed stream: number of the stream, three zeros, four bytes for the length (big-endian). */
const FRAME_HEADER_BYTES = 8;

/** Returns a reader of both streams from `start` on, in frames of one chunk each, in the order in which the agent read them. */
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

/** Yields the bytes of `next` until the execution has ended and all are read. A connected reader counts as reading, however slow it is. */
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

/** Yields new bytes. The state is read before the bytes, so that one more read after the end finds all bytes. */
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
