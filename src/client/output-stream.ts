/** One output stream of an execution as bytes, while the command runs and to its end. */
import type { ExecutionWire } from '../api/execution.ts';
import { backoffMs, pause } from './backoff.ts';
import { ExecplaneError, isRetryable, OutputTruncatedError, UnreachableError } from './errors.ts';
import { readChunks } from './read-chunks.ts';
import { hasEnded } from './result.ts';
import type { Transport } from './transport.ts';

/** A command may be silent for long; a connection that is silent for this long is opened anew, to see that it lives. */
const SILENCE_MS = 60_000;
const OUTAGE_MS = 300_000;
const RECONNECT = { firstMs: 100, maxMs: 5000 };

/** Reads as fast as its consumer. A broken connection is resumed at the byte. Errors: ExecplaneError. */
export function outputStream(
  transport: Transport,
  path: string,
  stream: 'stdout' | 'stderr',
): ReadableStream<Uint8Array<ArrayBuffer>> {
  const abort = new AbortController();
  const bytes = followOutput(transport, path, stream, abort.signal);
  return new ReadableStream(
    {
      async pull(controller) {
        const { done, value } = await bytes.next();
        if (done) controller.close();
        else controller.enqueue(value);
      },
      async cancel() {
        abort.abort();
        await bytes.return(undefined).catch(() => {});
      },
    },
    { highWaterMark: 0 },
  );
}

/** Bytes from the first one to the end of the command. */
export async function* followOutput(
  transport: Transport,
  path: string,
  stream: 'stdout' | 'stderr',
  signal: AbortSignal,
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  let offset = 0;
  let failures = 0;
  let heardAt = performance.now();
  for (;;) {
    try {
      for await (const piece of openAt(transport, `${path}/output/${stream}`, offset, signal)) {
        offset += piece.length;
        failures = 0;
        heardAt = performance.now();
        yield piece;
      }
      await assertComplete(transport, path, { stream, received: offset, signal });
      return;
    } catch (error) {
      signal.throwIfAborted();
      if (!isRetryable(error) || performance.now() - heardAt > OUTAGE_MS) throw error;
    }
    await pause(backoffMs(failures, RECONNECT), signal);
    failures += 1;
  }
}

async function* openAt(
  transport: Transport,
  path: string,
  offset: number,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  const call = { query: { follow: true }, headers: { accept: '*/*' }, attempts: 1, signal };
  const response = await transport.open('GET', path, call);
  let skip = offset;
  try {
    for await (const bytes of readChunks(response, SILENCE_MS)) {
      const fresh = bytes.subarray(Math.min(skip, bytes.length));
      skip -= bytes.length - fresh.length;
      if (fresh.length > 0) yield fresh;
    }
  } catch (cause) {
    throw new UnreachableError(transport.origin, { cause });
  }
}

/** A stream that ends early, or of which the server kept only a part, must not look complete. */
async function assertComplete(
  transport: Transport,
  path: string,
  { stream, received, signal }: { stream: 'stdout' | 'stderr'; received: number; signal: AbortSignal },
): Promise<void> {
  const execution = await transport.json<ExecutionWire>('GET', path, { signal });
  if (!hasEnded(execution)) {
    const cause = new ExecplaneError(`${stream} ended before the command did`);
    throw new UnreachableError(transport.origin, { cause });
  }
  const written = execution[`${stream}_bytes`] ?? 0;
  if (received < written) throw new OutputTruncatedError(stream, received, written);
}
