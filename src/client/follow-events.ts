/** Follows the event log of an execution to its end, over any number of broken connections. */
import type { ExecutionEventWire } from '../api/execution.ts';
import { decodeBase64 } from './base64.ts';
import { isRetryable, parseObject, UnexpectedAnswerError, UnreachableError } from './http/errors.ts';
import { Outage, type OutageListener } from './http/outage.ts';
import { readChunks } from './http/read-chunks.ts';
import { hasShape, mismatch } from './http/shape.ts';
import { EXECUTION_EVENT } from './http/shapes.ts';
import { hasEnded } from './result.ts';
import { ServerSentEventParser } from './http/server-sent-events.ts';
import type { Transport } from './http/transport.ts';

/** An entry in the log of an execution. */
export type ExecutionEvent = Omit<ExecutionEventWire, 'chunk'> & {
  /** Output, byte for byte. */
  chunk?: Uint8Array<ArrayBuffer>;
};

export interface FollowOptions {
  /** Sequence of the last event that is known already. */
  after?: number;
  signal?: AbortSignal;
  outage?: OutageListener;
}

/** Time without data after which a stream counts as broken, ms. The server sends something every 15 s. */
const SILENCE_MS = 45_000;

/** Yields every event after `after` up to the terminal one, once and in order, as they come. Throws ExecplaneError. */
export async function* followEvents(
  transport: Transport,
  path: string,
  options: FollowOptions = {},
): AsyncGenerator<ExecutionEvent> {
  const outage = new Outage(options.outage);
  let last = options.after ?? 0;
  for (;;) {
    try {
      for await (const event of openStream(transport, path, last, options.signal, () => outage.over())) {
        if (event.sequence <= last) continue;
        last = event.sequence;
        outage.dataReceived();
        yield event;
        if (hasEnded(event)) return;
      }
    } catch (error) {
      options.signal?.throwIfAborted();
      if (!isRetryable(error) || outage.isTooLong(error)) throw error;
    }
    await outage.pause(options.signal);
  }
}

async function* openStream(
  transport: Transport,
  path: string,
  last: number,
  signal: AbortSignal | undefined,
  opened: () => void,
): AsyncGenerator<ExecutionEvent> {
  const response = await transport.open('GET', `${path}/events`, {
    query: { encoding: 'base64' },
    headers: { accept: 'text/event-stream', ...(last > 0 ? { 'last-event-id': String(last) } : {}) },
    attempts: 1,
    signal,
  });
  opened();
  const parser = new ServerSentEventParser();
  const decoder = new TextDecoder();
  try {
    for await (const bytes of readChunks(response, SILENCE_MS)) {
      for (const data of parser.push(decoder.decode(bytes, { stream: true }))) {
        const event = parseObject(data);
        if (!hasShape(event, EXECUTION_EVENT)) {
          const wrong = mismatch(event, EXECUTION_EVENT);
          throw new UnexpectedAnswerError(response, { origin: transport.origin, mismatch: wrong });
        }
        yield fromWire(event);
      }
    }
  } catch (cause) {
    if (cause instanceof UnexpectedAnswerError) throw cause;
    throw new UnreachableError(transport.origin, { cause });
  }
}

/** Decodes an event: `chunk` is base64. */
export function fromWire({ chunk, ...event }: ExecutionEventWire): ExecutionEvent {
  return chunk === undefined ? event : { ...event, chunk: decodeBase64(chunk) };
}
