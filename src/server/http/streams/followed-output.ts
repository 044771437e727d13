/** The bytes of one stream as they come, until the execution has ended. */
import { isTerminal, type Stream } from '../../../core/execution.ts';
import type { Execution } from '../../../store/store.ts';
import { watchCommits } from '../../control/live/watch-commits.ts';
import type { HttpContext } from '../http-context.ts';

const PIECE_BYTES = 262_144;
/** A reader looks for new bytes at least this often, and records its presence as often. */
const POLL_INTERVAL_MS = 30_000;

interface Followed {
  execution: Execution;
  stream: Stream;
  start: number;
  signal: AbortSignal;
}

/** Yields bytes from `start` on. A connected reader counts as reading, however slow it is. */
export async function* followedOutput(
  context: Pick<HttpContext, 'store' | 'control' | 'now' | 'logger'>,
  p: Followed,
): AsyncGenerator<Buffer> {
  const { store, now } = context;
  const { executionId, outputMode } = p.execution;
  const noteReading = (): void => {
    store.outputRead({ executionId, now: now() }).catch((err: unknown) => {
      context.logger.warn({ err }, 'the time of a read could not be written');
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
  { execution, stream, start, signal }: Followed,
): AsyncGenerator<Buffer> {
  const { executionId, machineId } = execution;
  const commits = watchCommits(control, executionId);
  let offset = start;
  try {
    let latest = await store.getExecution({ machineId, executionId });
    while (!signal.aborted) {
      const ended = latest === undefined || isTerminal(latest.status);
      for (;;) {
        const bytes = await store.readStream({ executionId, stream, offset, maxBytes: PIECE_BYTES });
        if (bytes.length === 0) break;
        offset += bytes.length;
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
