/** Follows the output of an execution until the execution has ended: the bytes of one stream, or both streams in frames. */
import { isTerminal, type Stream } from '../../../core/execution.ts';
import { STREAM_BUFFER_HEADER } from '../../../core/stream-buffer-header.ts';
import type { Execution, Store } from '../../../store/store.ts';
import type { OpenReader } from '../../control/relay/output-relay.ts';
import { watchCommits } from '../../control/live/watch-commits.ts';
import type { ServerConfig } from '../../config.ts';
import type { HttpContext } from '../http-context.ts';

const PIECE_BYTES = 262_144;
/** Interval at which a reader polls for new bytes and records its presence, ms. */
const POLL_INTERVAL_MS = 30_000;

/** Reads output from its place on. */
interface OutputPlace {
  /** The streams that it reads, and the next byte of each. */
  readonly offsets: Readonly<Partial<Record<Stream, number>>>;
  /** Returns the next bytes, from memory or from the store; none if there are no more yet. */
  next(memory: Memory | undefined): Promise<readonly Buffer[]>;
}

/** Output that is in memory on its way to the store. */
type Memory = Pick<OpenReader, 'read' | 'readMerged'>;

interface Followed {
  execution: Execution;
  place: OutputPlace;
  signal: AbortSignal;
}

type Context = Pick<HttpContext, 'store' | 'control' | 'now' | 'logger'>;

/** Returns a reader of one stream from `start` on. */
export function readerOf(
  store: Pick<Store, 'readStream'>,
  executionId: string,
  stream: Stream,
  start: number,
): OutputPlace {
  const offsets: Partial<Record<Stream, number>> = { [stream]: start };
  return {
    offsets,
    async next(memory) {
      const offset = offsets[stream] ?? 0;
      const parts = memory?.read(stream, offset, PIECE_BYTES) ?? [
        await store.readStream({ executionId, stream, offset, maxBytes: PIECE_BYTES }),
      ];
      offsets[stream] = parts.reduce((sum, { length }) => sum + length, offset);
      return parts.filter(({ length }) => length > 0);
    },
  };
}

/** The numbers of the streams in frames. */
const STREAM_NUMBERS = { stdout: 1, stderr: 2 } as const;
/** Header of a frame in Docker's multiplexed stream: number of the stream, three zeros, four bytes for the length (big-endian). */
const FRAME_HEADER_BYTES = 8;

/** Returns a reader of both streams from `start` on, in frames of one chunk each, in the order in which the agent read them. */
export function mergedReaderOf(
  store: Pick<Store, 'readMerged'>,
  executionId: string,
  start: Record<Stream, number>,
): OutputPlace {
  const offsets = { ...start };
  return {
    offsets,
    async next(memory) {
      const chunks = memory?.readMerged(offsets, PIECE_BYTES) ?? (await store.readMerged({ executionId, offsets }));
      return chunks.flatMap(({ stream, bytes }) => {
        offsets[stream] += bytes.length;
        const header = Buffer.alloc(FRAME_HEADER_BYTES);
        header.writeUInt8(STREAM_NUMBERS[stream], 0);
        header.writeUInt32BE(bytes.length, FRAME_HEADER_BYTES - 4);
        return [header, bytes];
      });
    },
  };
}

/** Headers of an answer that follows output. In stream mode they tell its reader by when it has to release what it has read. */
export function followHeaders(
  { streamBufferBytes }: Pick<ServerConfig, 'streamBufferBytes'>,
  { outputMode }: Pick<Execution, 'outputMode'>,
): Record<string, string> {
  const buffer = outputMode === 'stream' ? { [STREAM_BUFFER_HEADER]: String(streamBufferBytes) } : {};
  return { 'x-accel-buffering': 'no', ...buffer };
}

/** Yields the bytes from `place` on until the execution has ended and all are read. A connected reader counts as reading, however slow it is. */
export async function* followedOutput(context: Context, p: Followed): AsyncGenerator<Buffer> {
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
  { store, control }: Context,
  { execution, place, signal }: Followed,
): AsyncGenerator<Buffer> {
  const { executionId, machineId } = execution;
  const commits = watchCommits(control, executionId);
  const streams = (['stdout', 'stderr'] as const).filter((stream) => place.offsets[stream] !== undefined);
  let memory: OpenReader | undefined;
  try {
    memory = await control.output.open(execution, { streams, wake: commits.wake });
    let latest = await store.getExecution({ machineId, executionId });
    while (!signal.aborted) {
      const ended = latest === undefined || isTerminal(latest.status);
      for (;;) {
        const parts = await place.next(memory);
        if (parts.length === 0) break;
        yield* parts;
      }
      if (ended) {
        await assertReached(store, executionId, place);
        return;
      }
      const woken = await commits.next(POLL_INTERVAL_MS, signal);
      latest = woken ? (commits.latest() ?? latest) : await store.getExecution({ machineId, executionId });
    }
  } finally {
    memory?.close();
    commits.close();
  }
}

/** A reader may have had bytes that were never stored, if server and machine are lost together. The rest must not look complete to it. */
async function assertReached(
  store: Pick<Store, 'outputBounds'>,
  executionId: string,
  { offsets }: OutputPlace,
): Promise<void> {
  for (const stream of ['stdout', 'stderr'] as const) {
    const { end } = await store.outputBounds({ executionId, stream });
    if ((offsets[stream] ?? 0) > end)
      throw new Error(`${stream} of ${executionId} ends before the bytes that its reader has`);
  }
}
