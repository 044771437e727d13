/** Collects a use case's changes to one execution: its next record, new events, and the consequences for its machine. */
import type { OpenArtifact } from '../artifact.ts';
import {
  type Execution,
  type ExecutionEvent,
  type ExecutionInput,
  isTerminal,
  type Stream,
  type StreamCount,
  transition,
} from '../execution.ts';

import type { PassedOutput } from '../report.ts';
import type { ArtifactStep } from './artifacts.ts';

/** An execution with the fields that only the store needs. */
export interface ExecutionRecord {
  /** Its key in every table. */
  readonly key: number;
  readonly machineKey: number;
  readonly execution: Execution;
  /** Bytes stored of each stream. */
  readonly kept: Readonly<Record<Stream, number>>;
  /** Bytes of its streams that were read and deleted; in stream mode only. */
  readonly released: Readonly<Record<Stream, number>>;
  readonly lastEventAt: number;
  /** Bytes that it counts for in the queue of its machine while it waits. */
  readonly queuedBytes: number;
  /** The artifact that its agent is sending. */
  readonly artifact?: OpenArtifact | undefined;
  /**
   * Time until which its output has a reader, ms since the epoch. In the past: when the last reader left. In the future: a client is
   * attached to its terminal.
   */
  readonly outputReadAt?: number | undefined;
}

/** An event of the log. `offset`: bytes of the stream before its chunk. */
export type LogEntry =
  | Extract<ExecutionEvent, { type: 'lifecycle' }>
  | (Extract<ExecutionEvent, { type: Stream }> & { offset: number });

/** Output that is kept apart from the log until it is read. `offset`: bytes of the stream before it. */
export interface StreamedChunk {
  stream: Stream;
  offset: number;
  bytes: Buffer;
}

/** The last bytes of a stream that is longer than the part kept in its log. Only the first tail of a stream is stored. */
export interface OutputTail {
  stream: Stream;
  bytes: Buffer;
}

/** The data to write for an execution. */
export interface ExecutionChange {
  readonly after: ExecutionRecord;
  readonly entries: readonly LogEntry[];
  readonly streamed: readonly StreamedChunk[];
  readonly tails: readonly OutputTail[];
  /** Bytes of its streams were released with it: `after` tells how far. */
  readonly releases: boolean;
  /** Change of the number of waiting executions of its machine: 1, -1 or 0. */
  readonly waiting: number;
  /** Whether the change ends it: the store then erases its input and creates its callback. */
  readonly ended: boolean;
  /** Writes for artifacts, in order. */
  readonly artifacts: readonly ArtifactStep[];
}

/** An execution that is changed step by step in one transaction. */
export class ExecutionDraft {
  readonly #before: ExecutionRecord;
  readonly #entries: LogEntry[] = [];
  readonly #streamed: StreamedChunk[] = [];
  readonly #tails: OutputTail[] = [];
  readonly #kept: Record<Stream, number>;
  readonly #released: Record<Stream, number>;
  #releases = false;
  #execution: Execution;
  #lastEventAt: number;
  #artifact: OpenArtifact | undefined;
  readonly #artifacts: ArtifactStep[] = [];
  #pieceBytes = 0;

  constructor(before: ExecutionRecord) {
    this.#before = before;
    this.#execution = { ...before.execution };
    this.#kept = { ...before.kept };
    this.#released = { ...before.released };
    this.#lastEventAt = before.lastEventAt;
    this.#artifact = before.artifact;
  }

  get execution(): Execution {
    return this.#execution;
  }

  get released(): Readonly<Record<Stream, number>> {
    return this.#released;
  }

  get lastEventAt(): number {
    return this.#lastEventAt;
  }

  /** The open artifact. */
  get artifact(): OpenArtifact | undefined {
    return this.#artifact;
  }

  /** Bytes that were added to artifacts. */
  get pieceBytes(): number {
    return this.#pieceBytes;
  }

  kept(stream: Stream): number {
    return this.#kept[stream];
  }

  /** Applies `input` through `transition`. False if it was refused. `eventAt`: the time of the event, if there is one. */
  apply(input: ExecutionInput, now: number, eventAt = now): boolean {
    const step = transition(this.#execution, input, now);
    if (!step.ok) return false;
    this.#execution = step.next;
    if (step.changed) this.#logStatus(eventAt);
    return true;
  }

  /** Appends a chunk of output, counted as produced. */
  appendChunk(stream: Stream, chunk: Buffer, at: number): void {
    const offset = this.#kept[stream];
    if (this.#execution.outputMode === undefined) {
      this.#lastEventAt = at;
      this.#execution.lastSequence += 1;
      this.#entries.push({ sequence: this.#execution.lastSequence, at, type: stream, chunk, offset });
    } else this.#streamed.push({ stream, offset, bytes: chunk });
    this.#kept[stream] = offset + chunk.length;
    const { bytes, truncated } = this.#execution[stream];
    this.#execution[stream] = { bytes: Math.max(bytes, this.#kept[stream]), truncated };
  }

  /** Counts output that was released before it was stored. */
  passOutput({ upTo, released }: Pick<PassedOutput, 'upTo' | 'released'>): void {
    for (const stream of ['stdout', 'stderr'] as const) {
      this.#kept[stream] = Math.max(this.#kept[stream], upTo[stream]);
      this.#released[stream] = Math.max(this.#released[stream], released[stream]);
      const { bytes, truncated } = this.#execution[stream];
      this.#execution[stream] = { bytes: Math.max(bytes, this.#kept[stream]), truncated };
    }
    this.#releases = true;
  }

  /** Keeps the last bytes of a stream. Output that is kept until it is read is complete, so it has no tail. */
  keepTail(stream: Stream, bytes: Buffer): void {
    if (bytes.length === 0 || this.#execution.outputMode !== undefined) return;
    if (!this.#tails.some((tail) => tail.stream === stream)) this.#tails.push({ stream, bytes });
  }

  /** Sets fields that are not part of a status. */
  set(
    fields: Partial<
      Pick<Execution, 'reported' | 'dispatchNumber' | 'cancelledBy' | 'outputMode' | 'artifacts' | 'usage'> &
        Record<Stream, StreamCount>
    >,
  ) {
    Object.assign(this.#execution, fields);
  }

  openArtifact(artifact: OpenArtifact, { now: at, expiresAt }: { now: number; expiresAt: number }): void {
    this.#artifact = artifact;
    const { artifactId, name } = artifact;
    this.#artifacts.push({ type: 'begin', artifactId, name, at, expiresAt });
  }

  /** Adds bytes to the open artifact. */
  addPiece(bytes: Buffer): void {
    if (this.#artifact === undefined) return;
    const { artifactId, bytes: position } = this.#artifact;
    this.#artifacts.push({ type: 'piece', artifactId, position, bytes });
    this.#artifact = { ...this.#artifact, bytes: position + bytes.length };
    this.#pieceBytes += bytes.length;
  }

  /** The open artifact is complete. */
  storeArtifact(sha256: string, at: number): void {
    if (this.#artifact === undefined) return;
    const { artifactId, name } = this.#artifact;
    this.#artifact = undefined;
    this.#artifacts.push({ type: 'store', artifactId, sha256, at });
    const entries = [...(this.#execution.artifacts ?? []), { artifactId, name }];
    this.set({ artifacts: entries.sort((a, b) => (a.name < b.name ? -1 : 1)) });
  }

  /** Drops the open artifact, if there is one. */
  closeArtifact(): void {
    if (this.#artifact === undefined) return;
    this.#artifacts.push({ type: 'drop', artifactId: this.#artifact.artifactId });
    this.#artifact = undefined;
  }

  /** Adds a remark to the log, under the present status of the execution. */
  note(message: string, at: number): void {
    this.#lastEventAt = Math.max(this.#lastEventAt, at);
    this.#execution.lastSequence += 1;
    const { lastSequence: sequence, status } = this.#execution;
    this.#entries.push({ sequence, at: this.#lastEventAt, type: 'lifecycle', status, errorMessage: message });
  }

  change(): ExecutionChange {
    const before = this.#before.execution;
    if (isTerminal(this.#execution.status)) this.closeArtifact();
    const execution = this.#execution;
    return {
      after: {
        ...this.#before,
        execution,
        kept: this.#kept,
        released: this.#released,
        lastEventAt: this.#lastEventAt,
        artifact: this.#artifact,
      },
      entries: this.#entries,
      streamed: this.#streamed,
      tails: this.#tails,
      releases: this.#releases,
      waiting: Number(waits(execution)) - Number(waits(before)),
      ended: isTerminal(execution.status) && !isTerminal(before.status),
      artifacts: this.#artifacts,
    };
  }

  #logStatus(eventAt: number): void {
    this.#lastEventAt = Math.max(this.#lastEventAt, eventAt);
    this.#execution.lastSequence += 1;
    this.#entries.push(statusEntry(this.#execution, this.#lastEventAt));
  }
}

/** Returns the event of the present status of an execution, with its `lastSequence`. */
export function statusEntry(execution: Execution, at: number): LogEntry {
  const { lastSequence: sequence, status, exitCode, signal, errorCode, errorMessage } = execution;
  return {
    sequence,
    at,
    type: 'lifecycle',
    status,
    ...(exitCode !== undefined && { exitCode }),
    ...(signal !== undefined && { signal }),
    ...(errorCode !== undefined && { errorCode }),
    ...(errorMessage !== undefined && { errorMessage }),
  };
}

/** Whether an unfinished execution keeps its machine awake at `now`. Only a terminal that runs without a client does not. */
export function keepsAwake({ execution, outputReadAt = 0 }: ExecutionRecord, now: number): boolean {
  return execution.isTerminal === undefined || execution.status !== 'running' || outputReadAt > now;
}

/** Whether an execution counts against the limits of its machine's queue. */
export function waits({ dispatchedTo, status }: Execution): boolean {
  return dispatchedTo === undefined && !isTerminal(status);
}

/** Returns the execution after one input. Undefined if the input is refused. */
export function advance(record: ExecutionRecord, input: ExecutionInput, now: number): ExecutionChange | undefined {
  const draft = new ExecutionDraft(record);
  return draft.apply(input, now) ? draft.change() : undefined;
}
