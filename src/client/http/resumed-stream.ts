/** Reads a stream of the server to its end, over any number of broken connections. */
import type { EchoWatch } from './echo-watch.ts';
import { isRetryable } from './errors.ts';
import { Outage, type OutageListener } from './outage.ts';
import { readChunks } from './read-chunks.ts';
import type { HttpResponse, Transport } from './transport.ts';

/** A stream that can be opened again at its place. */
export interface ResumableStream<T> {
  /** Opens it after the last item that was received. `signal`: ends this attempt. */
  open(signal: AbortSignal | undefined): Promise<OpenStream<T>>;
  /** The consumer has received an item and wants the next one. Returns whether it was the last one. */
  received(item: T): boolean;
  /** Whether all has come, if the server has ended the stream. If not, it is opened again. */
  isComplete(): Promise<boolean>;
}

export interface OpenStream<T> {
  response: HttpResponse;
  /** Yields the items that the next bytes of the body complete. */
  decode(bytes: Uint8Array<ArrayBuffer>): Iterable<T>;
}

export interface ResumeOptions {
  signal: AbortSignal | undefined;
  /** Time without data after which the stream is opened again, ms. */
  silenceMs: number;
  listener?: OutageListener | undefined;
  /** Only for a command on a terminal: opens the stream again if nothing arrives after input. */
  echo?: EchoWatch | undefined;
}

/** Yields each item once and in order, as it comes. Throws ExecplaneError. */
export async function* resumedStream<T>(
  transport: Pick<Transport, 'origin'>,
  stream: ResumableStream<T>,
  { signal, silenceMs, listener, echo }: ResumeOptions,
): AsyncGenerator<T> {
  const outage = new Outage(listener, echo);
  for (;;) {
    try {
      const { response, decode } = await stream.open(outage.attempt(signal));
      outage.over();
      for await (const bytes of readChunks(response, { origin: transport.origin, silenceMs })) {
        for (const item of decode(bytes)) {
          outage.dataReceived();
          yield item;
          if (stream.received(item)) return;
        }
      }
      if (await stream.isComplete()) return;
    } catch (error) {
      signal?.throwIfAborted();
      if (!isRetryable(error) || outage.isTooLong(error)) throw error;
    }
    await outage.pause(signal);
  }
}
