/** Both output streams of an execution in one, in the order in which they were read on its machine. */
import { isRetryable, UnreachableError } from './http/errors.ts';
import { Outage } from './http/outage.ts';
import { readChunks } from './http/read-chunks.ts';
import type { Transport } from './http/transport.ts';
import { assertComplete, type OutputSource, Release, SILENCE_MS } from './output-stream.ts';

type Stream = OutputSource['stream'];

export interface OutputPiece {
  stream: Stream;
  bytes: Uint8Array<ArrayBuffer>;
}

interface MergedSource {
  /** Path of the execution in the API. */
  path: string;
  /** True in output mode `stream`: output that was read is released, so that the command can continue. */
  releases: boolean;
  signal: AbortSignal;
}

/** Number of the stream, three zeros, four bytes for the length of what follows (big-endian). */
const FRAME_HEADER_BYTES = 8;

/** Yields both streams from their first bytes to the end of the command. A broken connection is resumed at the byte. Throws ExecplaneError. */
export async function* mergedOutput(transport: Transport, source: MergedSource): AsyncGenerator<OutputPiece> {
  const { path, releases, signal } = source;
  const sources = {
    stdout: { path, releases, stream: 'stdout' as const },
    stderr: { path, releases, stream: 'stderr' as const },
  };
  const released = {
    stdout: new Release(transport, sources.stdout, signal),
    stderr: new Release(transport, sources.stderr, signal),
  };
  try {
    yield* readToEnd(transport, source, { sources, released });
  } finally {
    released.stdout.close();
    released.stderr.close();
  }
}

async function* readToEnd(
  transport: Transport,
  source: MergedSource,
  { sources, released }: { sources: Record<Stream, OutputSource>; released: Record<Stream, Release> },
): AsyncGenerator<OutputPiece> {
  const { signal } = source;
  const outage = new Outage(undefined);
  const offsets = { stdout: 0, stderr: 0 };
  for (;;) {
    try {
      for await (const piece of openAt(transport, source, offsets, () => outage.over())) {
        // The consumer has received the earlier pieces.
        released[piece.stream].upTo(offsets[piece.stream]);
        offsets[piece.stream] += piece.bytes.length;
        outage.dataReceived();
        yield piece;
      }
      await assertComplete(transport, sources.stdout, { received: offsets.stdout, signal });
      await assertComplete(transport, sources.stderr, { received: offsets.stderr, signal });
      return;
    } catch (error) {
      signal.throwIfAborted();
      if (!isRetryable(error) || outage.isTooLong(error)) throw error;
    }
    await outage.pause(signal);
  }
}

async function* openAt(
  transport: Transport,
  { path, signal }: MergedSource,
  offsets: { stdout: number; stderr: number },
  opened: () => void,
): AsyncGenerator<OutputPiece> {
  const query = { stdout_offset: offsets.stdout, stderr_offset: offsets.stderr };
  const response = await transport.open('GET', `${path}/output/merged`, {
    query,
    headers: { accept: '*/*' },
    attempts: 1,
    signal,
  });
  opened();
  const frames = new FrameReader();
  try {
    for await (const bytes of readChunks(response, SILENCE_MS)) yield* frames.push(bytes);
  } catch (cause) {
    throw new UnreachableError(transport.origin, { cause });
  }
}

/** Decodes frames as their bytes arrive. */
class FrameReader {
  readonly #header = new Uint8Array(FRAME_HEADER_BYTES);
  #headerBytes = 0;
  #stream: OutputPiece['stream'] = 'stdout';
  /** Bytes of the present frame that have not arrived yet. */
  #left = 0;

  *push(bytes: Uint8Array<ArrayBuffer>): Generator<OutputPiece> {
    for (let at = 0; at < bytes.length; ) {
      if (this.#left === 0) at += this.#takeHeader(bytes.subarray(at));
      else {
        const part = bytes.subarray(at, at + this.#left);
        at += part.length;
        this.#left -= part.length;
        yield { stream: this.#stream, bytes: part };
      }
    }
  }

  /** Reads bytes of a header. Returns their number. */
  #takeHeader(bytes: Uint8Array): number {
    const part = bytes.subarray(0, FRAME_HEADER_BYTES - this.#headerBytes);
    this.#header.set(part, this.#headerBytes);
    this.#headerBytes += part.length;
    if (this.#headerBytes === FRAME_HEADER_BYTES) {
      this.#headerBytes = 0;
      this.#stream = this.#header[0] === 1 ? 'stdout' : 'stderr';
      this.#left = new DataView(this.#header.buffer).getUint32(4);
    }
    return part.length;
  }
}
