import type { IncomingMessage } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { ApiFailure } from '../http/api-failure.ts';
import { CliError } from '../cli-error.ts';
import type { Api } from '../http/http.ts';
import { SseParser } from '../http/sse.ts';
import { type ExecutionEvent, executionPath, isEnd } from '../http/wire.ts';

/** The server says something every 15 s; a stream that is silent for longer than this is dead. */
const SILENCE_MS = 45_000;
/** How long the server may be away in one go before following is given up. */
const OUTAGE_MS = 300_000;
const FIRST_DELAY_MS = 100;
const MAX_DELAY_MS = 5_000;
/** So many failures in a row are told; fewer are over in a moment. */
const TOLD_FAILURES = 3;

/** Told when the server has gone away, and when it is back. */
export interface OutageListener {
  away(reason: string): void;
  back(): void;
}

/**
 * Every event of an execution from its first to its terminal one, once and in order, as they come; a broken stream is
 * taken up again after the last event. Throws ApiFailure, or CliError where the server stays away.
 */
export async function* followEvents(
  api: Api,
  machineId: string,
  executionId: string,
  outage?: OutageListener,
): AsyncGenerator<ExecutionEvent> {
  const absence = new Absence(outage);
  let last = 0;
  for (;;) {
    try {
      for await (const event of openStream(api, { machineId, executionId, last }, () => absence.over())) {
        if (event.sequence <= last) continue;
        last = event.sequence;
        absence.heard();
        yield event;
        if (event.type === 'lifecycle' && isEnd(event.status)) return;
      }
    } catch (error) {
      if (error instanceof ApiFailure && !error.isTransient) throw error;
      if (absence.tooLong(error as Error)) throw lost(error, machineId, executionId);
    }
    await absence.pause();
  }
}

/** The server's absence, from the first failure to the next stream that opens. */
class Absence {
  readonly #outage: OutageListener | undefined;
  #since: number | undefined;
  /** Streams that broke since the last event came. */
  #failures = 0;
  #told = false;

  constructor(outage: OutageListener | undefined) {
    this.#outage = outage;
  }

  /** A stream has opened. However long it was silent then, its break begins a new absence. */
  over(): void {
    this.#since = undefined;
    if (this.#told) this.#outage?.back();
    this.#told = false;
  }

  /** An event has come. */
  heard(): void {
    this.#failures = 0;
  }

  /** Counts a failure; whether it is one too many. */
  tooLong(error: Error): boolean {
    const now = performance.now();
    this.#since ??= now;
    if (this.#failures + 1 >= TOLD_FAILURES && !this.#told) {
      this.#told = true;
      this.#outage?.away(error.message);
    }
    return now - this.#since > OUTAGE_MS;
  }

  /** Before the next try: longer each time, and of no fixed length. */
  async pause(): Promise<void> {
    await delay(Math.min(MAX_DELAY_MS, FIRST_DELAY_MS * 2 ** this.#failures) * (0.5 + Math.random() / 2));
    this.#failures = Math.min(this.#failures + 1, 10);
  }
}

async function* openStream(
  api: Api,
  { machineId, executionId, last }: { machineId: string; executionId: string; last: number },
  opened: () => void,
): AsyncGenerator<ExecutionEvent> {
  const response = await api.open('GET', `${executionPath(machineId, executionId)}/events`, {
    query: { encoding: 'base64' },
    headers: { accept: 'text/event-stream', ...(last > 0 ? { 'last-event-id': String(last) } : {}) },
    attempts: 1,
  });
  opened();
  response.setEncoding('utf8');
  const stopWatching = endWhenSilent(response);
  const parser = new SseParser();
  try {
    for await (const text of response as AsyncIterable<string>) {
      for (const data of parser.push(text)) yield JSON.parse(data) as ExecutionEvent;
    }
  } finally {
    stopWatching();
    response.destroy();
  }
}

/** A reader of ours that is slow stops the socket's clock as well, so silence is measured on the socket itself. */
function endWhenSilent(response: IncomingMessage): () => void {
  const { socket } = response;
  const silent = () => response.destroy(new Error('the event stream fell silent'));
  socket.setTimeout(SILENCE_MS, silent);
  return () => {
    socket.setTimeout(0);
    socket.off('timeout', silent);
  };
}

function lost(cause: unknown, machineId: string, executionId: string): CliError {
  return new CliError(`the server is away for too long: ${(cause as Error).message}`, {
    cause,
    hint: `The command may still run. Take it up again with "execplane executions logs -f ${machineId} ${executionId}".`,
  });
}
