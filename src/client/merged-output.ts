/** Both output streams of an execution in one, in the order in which they were read on its machine. */
import { resumedStream } from './http/resumed-stream.ts';
import type { Transport } from './http/transport.ts';
import { isComplete, OPEN_MS, SILENCE_MS } from './output-stream.ts';
import { type OutputSource, Release } from './http/release.ts';

type Stream = OutputSource['stream'];

export interface OutputPiece {
  stream: Stream;
  bytes: Uint8Array<ArrayBuffer>;
}

interface MergedSource extends Omit<OutputSource, 'stream'> {
  signal: AbortSignal;
}

/** Number of the stream, three zeros, four bytes for the length of what follows (big-endian). */
const FRAME_HEADER_BYTES = 8;

/** Yields both streams from their first bytes to the end of the command. A broken connection is resumed at the byte. Throws ExecplaneError. */
export async function* mergedOutput(
  transport: Transport,
  { path, releases, signal, echo }: MergedSource,
): AsyncGenerator<OutputPiece> {
  const releaseOf = (stream: Stream): Release => new Release(transport, { path, releases, stream }, signal);
  const release = { stdout: releaseOf('stdout'), stderr: releaseOf('stderr') };
  const offsets = { stdout: 0, stderr: 0 };
  const merged = {
    async open(attempt: AbortSignal | undefined) {
      const query = { stdout_offset: offsets.stdout, stderr_offset: offsets.stderr };
      const call = { query, headers: { accept: '*/*' }, attempts: 1, timeoutMs: OPEN_MS, signal: attempt };
      const response = await transport.open('GET', `${path}/output/merged`, call);
      release.stdout.opened(response.headers);
      release.stderr.opened(response.headers);
      const frames = new FrameReader();
      return { response, decode: (bytes: Uint8Array<ArrayBuffer>) => frames.push(bytes) };
    },
    received({ stream, bytes }: OutputPiece) {
      offsets[stream] += bytes.length;
      release[stream].upTo(offsets[stream]);
      return false;
    },
    async isComplete() {
      const stdout = await isComplete(transport, { path, stream: 'stdout' }, { received: offsets.stdout, signal });
      return stdout && isComplete(transport, { path, stream: 'stderr' }, { received: offsets.stderr, signal });
    },
  };
  try {
    yield* resumedStream(transport, merged, { signal, silenceMs: SILENCE_MS, echo });
  } finally {
    release.stdout.close();
    release.stderr.close();
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
