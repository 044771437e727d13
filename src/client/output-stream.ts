/** One output stream of an execution as bytes, while the command runs and to its end. */
import { OutputTruncatedError } from './http/errors.ts';
import { type ResumableStream, resumedStream } from './http/resumed-stream.ts';
import { EXECUTION } from './http/shapes.ts';
import type { Transport } from './http/transport.ts';
import { type OutputSource, Release } from './http/release.ts';
import { hasEnded } from './result.ts';

/** Time without output after which a connection is opened again to check it, ms. */
export const SILENCE_MS = 60_000;
/** Time limit for the headers of an answer that follows output, which the server sends at once, ms. */
export const OPEN_MS = 20_000;

/** Reads as fast as its consumer. A broken connection is resumed at the byte. Errors: ExecplaneError. */
export function outputStream(transport: Transport, source: OutputSource): ReadableStream<Uint8Array<ArrayBuffer>> {
  const abort = new AbortController();
  const { signal } = abort;
  const release = new Release(transport, source, signal);
  const stream = resumableOutput(transport, source, { release, signal });
  const { echo } = source;
  const bytes = resumedStream(transport, stream, { signal, silenceMs: SILENCE_MS, echo });
  return new ReadableStream(
    {
      async pull(controller) {
        try {
          const { done, value } = await bytes.next();
          if (!done) {
            controller.enqueue(value);
            return;
          }
          controller.close();
        } catch (error) {
          controller.error(error);
        }
        release.close();
      },
      async cancel() {
        release.close();
        abort.abort();
        await bytes.return(undefined).catch(() => {});
      },
    },
    { highWaterMark: 0 },
  );
}

function resumableOutput(
  transport: Transport,
  source: OutputSource,
  { release, signal }: { release: Release; signal: AbortSignal },
): ResumableStream<Uint8Array<ArrayBuffer>> {
  let offset = 0;
  return {
    async open(attempt) {
      const call = { query: { follow: true, offset }, headers: { accept: '*/*' }, attempts: 1, timeoutMs: OPEN_MS };
      const path = `${source.path}/output/${source.stream}`;
      const response = await transport.open('GET', path, { ...call, signal: attempt });
      release.opened(response.headers);
      return { response, decode: (bytes) => [bytes] };
    },
    received(bytes) {
      offset += bytes.length;
      release.upTo(offset);
      return false;
    },
    isComplete: () => isComplete(transport, source, { received: offset, signal }),
  };
}

/** Whether a stream that the server has ended is complete. Throws OutputTruncatedError if the server kept only a part of it. */
export async function isComplete(
  transport: Transport,
  { path, stream }: Pick<OutputSource, 'path' | 'stream'>,
  { received, signal }: { received: number; signal: AbortSignal },
): Promise<boolean> {
  const execution = await transport.json('GET', path, EXECUTION, { signal });
  if (!hasEnded(execution)) return false;
  const written = execution[`${stream}_bytes`] ?? 0;
  if (received < written) throw new OutputTruncatedError(stream, received, written);
  return true;
}
