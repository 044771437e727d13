/** One execution: its log, its streams, its end. */
import type { ExecutionWire } from '../api/execution.ts';
import type { ExecutionOutputWire } from '../api/output.ts';
import type { SendSignal } from '../api/interaction.ts';
import { EchoWatch } from './http/echo-watch.ts';
import { RefusedError } from './http/errors.ts';
import { type ExecutionEvent, type FollowOptions, followEvents, fromWire } from './follow-events.ts';
import { mergedOutput, type OutputPiece } from './merged-output.ts';
import { outputStream } from './output-stream.ts';
import { pageOf } from './http/pages.ts';
import { readChunks } from './http/read-chunks.ts';
import { type ExecutionResult, hasEnded, resultOf } from './result.ts';
import { stdinStream } from './stdin-stream.ts';
import type { RequestOptions, Transport } from './http/transport.ts';
import { EXECUTION, EXECUTION_EVENT, EXECUTION_OUTPUT, STDIN_RESULT } from './http/shapes.ts';

/** The longest time that the server waits before it answers, ms. */
export const MAX_WAIT_MS = 55_000;

interface WaitOptions extends RequestOptions {
  /** Time that the server may wait for the end before it answers, in ms; at most 55 000. */
  waitMs?: number;
}

interface ExecutionHandleOptions {
  machineId: string;
  executionId: string;
  /** Whether output that was read is released (output mode `stream`). */
  releases: boolean;
  /** Whether it runs on a terminal. Then a dead connection is noticed soon after input. */
  isTerminal: boolean;
}

/**
 * A handle on an execution. Iterating over it yields its events, from the first one to its end. All methods survive broken
 * connections.
 */
export class ExecutionHandle implements AsyncIterable<ExecutionEvent> {
  readonly machineId: string;
  readonly executionId: string;
  readonly #transport: Transport;
  readonly #path: string;
  /** Whether output that was read is released (output mode `stream`). */
  readonly #releases: boolean;
  /** Only for a command on a terminal. */
  readonly #echo: EchoWatch | undefined;
  #stdin: WritableStream<Uint8Array> | undefined;
  #stdout: ReadableStream<Uint8Array<ArrayBuffer>> | undefined;
  #stderr: ReadableStream<Uint8Array<ArrayBuffer>> | undefined;
  #result: Promise<ExecutionResult> | undefined;

  constructor(transport: Transport, p: ExecutionHandleOptions) {
    const { machineId, executionId } = p;
    this.#transport = transport;
    this.#releases = p.releases;
    this.#echo = p.isTerminal ? new EchoWatch(transport.origin) : undefined;
    this.machineId = machineId;
    this.executionId = executionId;
    this.#path = `${executionsPath(machineId)}/${encodeURIComponent(executionId)}`;
  }

  [Symbol.asyncIterator](): AsyncGenerator<ExecutionEvent> {
    return this.events();
  }

  /** Yields its events as they come. */
  events(options: FollowOptions = {}): AsyncGenerator<ExecutionEvent> {
    return followEvents(this.#transport, this.#path, { ...options, echo: this.#echo });
  }

  /** Yields the present log, page after page. */
  async *log({ signal }: RequestOptions = {}): AsyncGenerator<ExecutionEvent> {
    let cursor: string | undefined;
    for (;;) {
      const query = { encoding: 'base64', limit: 1000, cursor };
      const page = await this.#transport.json('GET', `${this.#path}/events`, pageOf(EXECUTION_EVENT), {
        query,
        signal,
      });
      for (const event of page.items) yield fromWire(event);
      cursor = page.next_cursor;
      // The last page of a log that is not ended is empty.
      if (cursor === undefined || page.items.length === 0) return;
    }
  }

  /** The bytes of its stdout, from the first one on. The stream errors if the server did not keep all of them. */
  get stdout(): ReadableStream<Uint8Array<ArrayBuffer>> {
    this.#stdout ??= this.#output('stdout');
    return this.#stdout;
  }

  /** The bytes of its stderr, like `stdout`. */
  get stderr(): ReadableStream<Uint8Array<ArrayBuffer>> {
    this.#stderr ??= this.#output('stderr');
    return this.#stderr;
  }

  /** Both streams in one, in the order in which they were read on the machine. Yields pieces as they come, until the end. */
  merged({ signal = new AbortController().signal }: { signal?: AbortSignal } = {}): AsyncGenerator<OutputPiece> {
    const source = { path: this.#path, releases: this.#releases, echo: this.#echo };
    return mergedOutput(this.#transport, { ...source, signal });
  }

  /** Its stdin, if it was started with an open one. Closing it makes the command read end-of-file. */
  get stdin(): WritableStream<Uint8Array> {
    this.#stdin ??= stdinStream(this.#transport, this.#path, this.#echo);
    return this.#stdin;
  }

  /** Settles with its result, without a time limit. */
  get result(): Promise<ExecutionResult> {
    this.#result ??= this.waitForEnd().then(resultOf);
    return this.#result;
  }

  /** Returns the execution now, or when it has ended or `waitMs` have passed. */
  get({
    waitMs,
    include,
    signal,
  }: WaitOptions & { include?: readonly ('usage' | 'reason')[] } = {}): Promise<ExecutionWire> {
    const query = { wait_ms: waitMs, include: include?.join(',') };
    return this.#transport.json('GET', this.#path, EXECUTION, { query, signal });
  }

  /** Returns the execution once it has ended. */
  async waitForEnd({ signal }: RequestOptions = {}): Promise<ExecutionWire> {
    for (;;) {
      const execution = await this.get({ waitMs: MAX_WAIT_MS, signal });
      if (hasEnded(execution)) return execution;
    }
  }

  /** Returns all kept output, and the end of a truncated stream; only after the end. `tail`: only the last bytes of the kept part. */
  output({ tail, signal }: RequestOptions & { tail?: number } = {}): Promise<ExecutionOutputWire> {
    return this.#transport.json('GET', `${this.#path}/output`, EXECUTION_OUTPUT, {
      query: { tail, include: 'tail' },
      signal,
    });
  }

  /** Returns the bytes of a stream that are kept now; `tail`: only the last ones. Throws if the answer breaks off. */
  async *kept(
    stream: 'stdout' | 'stderr',
    { tail, signal }: RequestOptions & { tail?: number } = {},
  ): AsyncGenerator<Uint8Array<ArrayBuffer>> {
    const call = { query: { tail }, headers: { accept: '*/*' }, signal };
    const response = await this.#transport.open('GET', `${this.#path}/output/${stream}`, call);
    yield* readChunks(response, { origin: this.#transport.origin, silenceMs: MAX_WAIT_MS });
  }

  /** Returns some of the bytes of a stream that are kept now: fewer, or none, if there are no more. */
  async part(
    stream: 'stdout' | 'stderr',
    { offset, length, signal }: RequestOptions & { offset: number; length: number },
  ): Promise<Uint8Array<ArrayBuffer>> {
    const headers = { accept: '*/*', range: `bytes=${offset}-${offset + length - 1}` };
    try {
      return await this.#transport.bytes('GET', `${this.#path}/output/${stream}`, { headers, signal });
    } catch (error) {
      if (error instanceof RefusedError && error.status === 416) return new Uint8Array();
      throw error;
    }
  }

  /** Appends to an open stdin. Returns the total number of bytes written. */
  async writeStdin(
    bytes: Uint8Array<ArrayBuffer>,
    { close = false, signal }: RequestOptions & { close?: boolean } = {},
  ): Promise<number> {
    const path = `${this.#path}/stdin`;
    const empty = new Uint8Array();
    const { offset = 0 } = await this.#transport.json('POST', path, STDIN_RESULT, { bytes: empty, signal });
    // With an offset, a repeated request is harmless.
    await this.#transport.json('POST', path, STDIN_RESULT, { query: { offset, close }, bytes, signal });
    return offset + bytes.length;
  }

  /** Cancels it: SIGTERM, then SIGKILL to all of its processes after a grace period. Does nothing after the end. */
  cancel({ waitMs, signal }: WaitOptions = {}): Promise<ExecutionWire> {
    return this.#transport.json('DELETE', this.#path, EXECUTION, { query: { wait_ms: waitMs }, signal });
  }

  /** Sends a signal such as `SIGHUP` to its process group. Does nothing after the end. */
  signal(name: SendSignal['signal'], { signal }: RequestOptions = {}): Promise<ExecutionWire> {
    return this.#transport.json('POST', `${this.#path}/signal`, EXECUTION, { body: { signal: name }, signal });
  }

  /** Sets the size of its terminal, if it was started with `tty`. Does nothing after the end. */
  resize(size: { width: number; height: number }, { signal }: RequestOptions = {}): Promise<ExecutionWire> {
    return this.#transport.json('POST', `${this.#path}/resize`, EXECUTION, { body: size, signal });
  }

  #output(stream: 'stdout' | 'stderr'): ReadableStream<Uint8Array<ArrayBuffer>> {
    const source = { path: this.#path, releases: this.#releases, echo: this.#echo };
    return outputStream(this.#transport, { ...source, stream });
  }
}

/** Path of the executions of a machine in the API. */
export function executionsPath(machineId: string): string {
  return `/v1/machines/${encodeURIComponent(machineId)}/executions`;
}
