/** One output stream of an execution as bytes, while the command runs and to its end. */
import { pause } from './http/backoff.ts';
import { ExecplaneError, isRetryable, OutputTruncatedError, UnreachableError } from './http/errors.ts';
import { Outage } from './http/outage.ts';
import { readChunks } from './http/read-chunks.ts';
import { hasEnded } from './result.ts';
import type { Transport } from './http/transport.ts';
import { EXECUTION } from './http/shapes.ts';

/** Time without output after which a connection is opened again to check it, ms. */
export const SILENCE_MS = 60_000;

/** Bytes to read before they are released. The server keeps at most 16 MiB of unread bytes. */
const RELEASE_BYTES = 4_194_304;
/** Delay after a release that failed in spite of its attempts, ms. */
const RELEASE_AGAIN_MS = 1000;

export interface OutputSource {
  /** Path of the execution in the API. */
  path: string;
  stream: 'stdout' | 'stderr';
  /** True in output mode `stream`: output that was read is released, so that the command can continue. */
  releases: boolean;
}

/** Reads as fast as its consumer. A broken connection is resumed at the byte. Errors: ExecplaneError. */
export function outputStream(transport: Transport, source: OutputSource): ReadableStream<Uint8Array<ArrayBuffer>> {
  const abort = new AbortController();
  const bytes = followOutput(transport, source, abort.signal);
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

/** Yields bytes from the first one to the end of the command. */
async function* followOutput(
  transport: Transport,
  source: OutputSource,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  const release = new Release(transport, source, signal);
  try {
    yield* readToEnd(transport, source, { signal, release });
  } finally {
    release.close();
  }
}

async function* readToEnd(
  transport: Transport,
  source: OutputSource,
  { signal, release }: { signal: AbortSignal; release: Release },
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  const outage = new Outage(undefined);
  let offset = 0;
  for (;;) {
    try {
      for await (const piece of openAt(transport, source, { offset, signal, opened: () => outage.over() })) {
        // The consumer has received the earlier pieces.
        release.upTo(offset);
        offset += piece.length;
        outage.dataReceived();
        yield piece;
      }
      await assertComplete(transport, source, { received: offset, signal });
      return;
    } catch (error) {
      signal.throwIfAborted();
      if (!isRetryable(error) || outage.isTooLong(error)) throw error;
    }
    await outage.pause(signal);
  }
}

/**
 * Releases the bytes that a reader has received, from time to time, with one request at a time. A release that fails is repeated even if no more
 * bytes come: the command may wait for it.
 */
export class Release {
  readonly #transport: Transport;
  readonly #source: OutputSource;
  readonly #signal: AbortSignal;
  #received = 0;
  #released = 0;
  #busy = false;
  #closed = false;

  constructor(transport: Transport, source: OutputSource, signal: AbortSignal) {
    this.#transport = transport;
    this.#source = source;
    this.#signal = signal;
  }

  upTo(offset: number): void {
    this.#received = offset;
    if (this.#source.releases && !this.#busy) void this.#releaseReceived();
  }

  /** The reader has ended. */
  close(): void {
    this.#closed = true;
  }

  async #releaseReceived(): Promise<void> {
    this.#busy = true;
    while (!this.#closed && !this.#signal.aborted && this.#received - this.#released >= RELEASE_BYTES) {
      const offset = this.#received;
      try {
        await this.#release(offset);
        this.#released = offset;
      } catch {
        // If a reader is stopped for good, its own requests fail, and it is closed.
        await pause(RELEASE_AGAIN_MS, this.#signal).catch(() => {});
      }
    }
    this.#busy = false;
  }

  async #release(offset: number): Promise<void> {
    const { path, stream } = this.#source;
    const call = { query: { offset, release: true }, headers: { accept: '*/*' }, signal: this.#signal };
    await this.#transport.open('HEAD', `${path}/output/${stream}`, call);
  }
}

async function* openAt(
  transport: Transport,
  { path, stream }: OutputSource,
  { offset, signal, opened }: { offset: number; signal: AbortSignal; opened: () => void },
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  const call = { query: { follow: true, offset }, headers: { accept: '*/*' }, attempts: 1, signal };
  const response = await transport.open('GET', `${path}/output/${stream}`, call);
  opened();
  try {
    yield* readChunks(response, SILENCE_MS);
  } catch (cause) {
    throw new UnreachableError(transport.origin, { cause });
  }
}

/** Throws if a stream has ended early, or if the server kept only a part of it. */
export async function assertComplete(
  transport: Transport,
  { path, stream }: OutputSource,
  { received, signal }: { received: number; signal: AbortSignal },
): Promise<void> {
  const execution = await transport.json('GET', path, EXECUTION, { signal });
  if (!hasEnded(execution)) {
    const cause = new ExecplaneError(`${stream} ended before the command did`);
    throw new UnreachableError(transport.origin, { cause });
  }
  const written = execution[`${stream}_bytes`] ?? 0;
  if (received < written) throw new OutputTruncatedError(stream, received, written);
}
