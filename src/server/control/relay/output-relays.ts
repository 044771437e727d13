/** The relays of this server: one for each execution in stream mode that has a reader here. */
import { type Execution, isTerminal, type Stream } from '../../../core/execution.ts';
import type { RawRecord, StoredReport } from '../../../core/report.ts';
import type { CommitListener } from '../live/commit-notifier.ts';
import { type OpenReader, OutputRelay, type RelayReader, type ReportSource } from './output-relay.ts';
import { RelayBudget } from './relay-buffer.ts';

/** See `OutputRelayOptions.releaseWithinMs`. */
export const RELEASE_WITHIN_MS = 1000;

export interface OutputRelaysDeps {
  streamBufferBytes: number;
  releaseWithinMs: number;
  /** Output in the store was released before it was stored there: deletes it. */
  releasedInStore(p: { machineId: string; executionId: string; stream: Stream; offset: number }): void;
}

/** All relays of this server. */
export class OutputRelays implements CommitListener {
  readonly #deps: OutputRelaysDeps;
  readonly #relays = new Map<string, OutputRelay>();
  /** Last writes of sessions that are closed. */
  readonly #lastWrites = new Set<Promise<void>>();
  readonly #budget = new RelayBudget();

  constructor(deps: OutputRelaysDeps) {
    this.#deps = deps;
  }

  /** Returns the relay of an execution, if it has one. */
  get(executionId: string): OutputRelay | undefined {
    return this.#relays.get(executionId);
  }

  /** Lets a reader take output from memory. `released`: how far each stream was released, as stored. */
  open(execution: Execution, released: Readonly<Record<Stream, number>>, reader: RelayReader): OpenReader {
    const { executionId } = execution;
    const { streamBufferBytes, releaseWithinMs } = this.#deps;
    const options = { execution, released, streamBufferBytes, releaseWithinMs, budget: this.#budget };
    const relay = this.#relays.get(executionId) ?? new OutputRelay({ ...options, now: () => performance.now() });
    this.#relays.set(executionId, relay);
    relay.addReader(reader);
    return {
      read: (stream, offset, maxBytes) => relay.read(stream, offset, maxBytes),
      readMerged: (offsets, maxBytes) => relay.readMerged(offsets, maxBytes),
      close: () => {
        relay.removeReader(reader);
        this.#dropIdle(relay);
      },
    };
  }

  /** Takes a report that has come. False if it is to be stored by the source, now, after what its relay gives it. */
  take(source: ReportSource, record: RawRecord): boolean {
    return this.#relays.get(record.executionId)?.take(source, record) ?? false;
  }

  /** Reports of an execution were committed. `waiting`: the reports that the source is about to store. */
  stored(source: ReportSource, execution: Execution, waiting: readonly StoredReport[]): void {
    const relay = this.#relays.get(execution.executionId);
    if (relay === undefined) return;
    relay.committed(source, execution, waiting);
    this.#deleteReleased(relay);
    this.#dropIdle(relay);
  }

  /** A session is closed: returns what came from it and is not stored, by execution. */
  closed(source: ReportSource): Map<string, StoredReport[]> {
    const left = new Map<string, StoredReport[]>();
    for (const [executionId, relay] of this.#relays) {
      const reports = relay.close(source);
      if (reports.length > 0) left.set(executionId, reports);
      this.#dropIdle(relay);
    }
    return left;
  }

  /** `write` is under way; `stop` waits for it. */
  lastWrite(write: Promise<void>): void {
    const ended = write.finally(() => this.#lastWrites.delete(ended));
    this.#lastWrites.add(ended);
  }

  /** An execution has ended, by its agent's report or otherwise. */
  committed({ executionId, status }: Execution): void {
    if (isTerminal(status)) this.#relays.get(executionId)?.storeAll();
  }

  /** Ends the timers, and settles when the last writes are done. */
  async stop(): Promise<void> {
    for (const relay of this.#relays.values()) relay.dispose();
    await Promise.all(this.#lastWrites);
  }

  /** Deletes output from the store that its readers released while it was being stored. */
  #deleteReleased(relay: OutputRelay): void {
    const { machineId, executionId } = relay.execution;
    for (const stream of ['stdout', 'stderr'] as const) {
      const offset = relay.takeDeletable(stream);
      if (offset !== undefined) this.#deps.releasedInStore({ machineId, executionId, stream, offset });
    }
  }

  #dropIdle(relay: OutputRelay): void {
    if (!relay.idle) return;
    relay.dispose();
    this.#relays.delete(relay.execution.executionId);
  }
}
