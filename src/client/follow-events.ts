/** Follows the event log of an execution to its end, over any number of broken connections. */
import type { ExecutionEventWire } from '../api/execution.ts';
import { decodeBase64 } from './base64.ts';
import type { EchoWatch } from './http/echo-watch.ts';
import { parseObject, UnexpectedAnswerError } from './http/errors.ts';
import type { OutageListener } from './http/outage.ts';
import { resumedStream } from './http/resumed-stream.ts';
import { hasShape, mismatch } from './http/shape.ts';
import { EXECUTION_EVENT } from './http/shapes.ts';
import { hasEnded } from './result.ts';
import { ServerSentEventParser } from './http/server-sent-events.ts';
import type { HttpResponse, Transport } from './http/transport.ts';

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

/**
 * Yields every event after `after` up to the terminal one, once and in order, as they come. `echo`: the command is on a terminal. Throws
 * ExecplaneError.
 */
export async function* followEvents(
  transport: Transport,
  path: string,
  { after = 0, signal, outage, echo }: FollowOptions & { echo?: EchoWatch | undefined } = {},
): AsyncGenerator<ExecutionEvent> {
  let last = after;
  const events = {
    async open(attempt: AbortSignal | undefined) {
      const position: Record<string, string> = last > 0 ? { 'last-event-id': String(last) } : {};
      const call = { headers: { accept: 'text/event-stream', ...position }, attempts: 1, signal: attempt };
      const response = await transport.open('GET', `${path}/events`, { query: { encoding: 'base64' }, ...call });
      const decoder = new EventDecoder(response, transport.origin);
      return { response, decode: (bytes: Uint8Array) => newEvents(decoder.decode(bytes)) };
    },
    received(event: ExecutionEvent) {
      last = event.sequence;
      return hasEnded(event);
    },
    isComplete: () => Promise.resolve(false),
  };
  function* newEvents(decoded: Iterable<ExecutionEvent>): Generator<ExecutionEvent> {
    for (const event of decoded) if (event.sequence > last) yield event;
  }
  yield* resumedStream(transport, events, { signal, silenceMs: SILENCE_MS, listener: outage, echo });
}

/** Decodes the server-sent events of one answer. Throws UnexpectedAnswerError. */
class EventDecoder {
  readonly #response: HttpResponse;
  readonly #origin: string;
  readonly #parser = new ServerSentEventParser();
  readonly #text = new TextDecoder();

  constructor(response: HttpResponse, origin: string) {
    this.#response = response;
    this.#origin = origin;
  }

  *decode(bytes: Uint8Array): Generator<ExecutionEvent> {
    for (const data of this.#parser.push(this.#text.decode(bytes, { stream: true }))) {
      const event = parseObject(data);
      if (!hasShape(event, EXECUTION_EVENT)) {
        const wrong = mismatch(event, EXECUTION_EVENT);
        throw new UnexpectedAnswerError(this.#response, { origin: this.#origin, mismatch: wrong });
      }
      yield fromWire(event);
    }
  }
}

/** Decodes an event: `chunk` is base64. */
export function fromWire({ chunk, ...event }: ExecutionEventWire): ExecutionEvent {
  return chunk === undefined ? event : { ...event, chunk: decodeBase64(chunk) };
}
