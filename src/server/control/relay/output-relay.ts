/** The relay of one execution: passes output from its agent's session to the readers of this server, and stores what they do not release in time. */
import { type Execution, isTerminal, type Stream } from '../../../core/execution.ts';
import { isPassed, type RawRecord, REPORT_KIND, type StoredReport } from '../../../core/report.ts';
import { OutputReleasedError } from '../../../store/store.ts';
import { RelayBuffer, type RelayBudget } from './relay-buffer.ts';

/** Interval at which the store learns that a reader releases output, ms. */
const NOTE_EVERY_MS = 1000;
/** Released bytes at which their place is written, and the agent's window opens: fewer than clients release at once, and a quarter of the window. */
const PLACE_EVERY_BYTES = 2 * 1024 * 1024;
/** The part of a small buffer for which the same holds: a killed server forgets at most this much of what was released. */
const PLACE_PART = 4;

/** The session that reports come from: stores reports in order, each after all that it was given before. */
export interface ReportSource {
  store(reports: readonly StoredReport[]): void;
  /** Settles when all that it was given is stored, or will not be, because the session is closed. */
  stored(): Promise<void>;
}

/** A reader of one stream or both, on this server. */
export interface RelayReader {
  readonly streams: readonly Stream[];
  /** More output has come. */
  wake(): void;
}

/** A reader that is open. */
export interface OpenReader extends Pick<OutputRelay, 'read' | 'readMerged'> {
  close(): void;
}

export interface OutputRelayOptions {
  execution: Execution;
  /** How far each stream was released, as stored. */
  released: Readonly<Record<Stream, number>>;
  streamBufferBytes: number;
  budget: RelayBudget;
  /**
   * Output passes through memory for this time after a release, ms. Later output is stored: its reader is slow, is lost, does not release, or
   * releases on another server.
   */
  releaseWithinMs: number;
  /** ms, of a clock that never goes back. */
  now: () => number;
}

/** Passes on the output of one execution. Owns one timer, which `dispose` ends. */
export class OutputRelay {
  readonly execution: Execution;
  readonly #buffer: RelayBuffer;
  readonly #releaseWithinMs: number;
  readonly #placeEveryBytes: number;
  readonly #now: () => number;
  readonly #readers = new Set<RelayReader>();
  #source: ReportSource | undefined;
  #timer: NodeJS.Timeout | undefined;
  #releasedAt = Number.NEGATIVE_INFINITY;
  #notedAt = Number.NEGATIVE_INFINITY;
  /** Of the last commit: bytes of each stream in the store, and the number of the last report. */
  #stored = { number: 0, stdout: 0, stderr: 0 };
  /** How far the store has deleted each stream, or is about to. */
  readonly #deleted: Record<Stream, number>;

  constructor({ execution, releaseWithinMs, now, ...buffer }: OutputRelayOptions) {
    this.execution = execution;
    this.#releaseWithinMs = releaseWithinMs;
    this.#placeEveryBytes = Math.min(PLACE_EVERY_BYTES, buffer.streamBufferBytes / PLACE_PART);
    this.#buffer = new RelayBuffer(buffer);
    this.#deleted = { ...buffer.released };
    this.#now = now;
  }

  /** The number of the last report that has come. Undefined if only the store knows. */
  get lastNumber(): number | undefined {
    return this.#buffer.lastNumber;
  }

  get released(): Readonly<Record<Stream, number>> {
    return this.#buffer.released;
  }

  /** The bytes of each stream that have come. Undefined if only the store knows. */
  get end(): Readonly<Record<Stream, number>> | undefined {
    return this.#buffer.end;
  }

  /** Whether it has no reader, and nothing that is not stored. */
  get idle(): boolean {
    const { lastNumber } = this.#buffer;
    return this.#readers.size === 0 && (lastNumber === undefined || lastNumber === this.#stored.number);
  }

  addReader(reader: RelayReader): void {
    this.#readers.add(reader);
  }

  /** Removes a reader. After the last one, stores all that is in memory. */
  removeReader(reader: RelayReader): void {
    this.#readers.delete(reader);
    if (this.#readers.size === 0) this.storeAll();
  }

  /** Takes a report that has come. False if it is to be stored by the source, now, after what this relay gives it. */
  take(source: ReportSource, record: RawRecord): boolean {
    if (source !== this.#source) {
      this.storeAll();
      this.#buffer.lose();
      this.#source = source;
    }
    if (!this.#isReleasing || !this.#buffer.fits(record) || !this.#isRead(record)) {
      this.storeAll();
      this.#buffer.passBy(record);
      return false;
    }
    this.#buffer.keep(record);
    this.#timer ??= setTimeout(this.#storeOld, this.#releaseWithinMs);
    for (const reader of [...this.#readers]) reader.wake();
    return true;
  }

  /** Reports of its execution were committed. `waiting`: the reports that the source is about to store. */
  committed(source: ReportSource, execution: Execution, waiting: readonly StoredReport[]): void {
    const { stdout, stderr, reported } = execution;
    this.#stored = { number: reported, stdout: stdout.bytes, stderr: stderr.bytes };
    if (source !== this.#source) return;
    const isWhole = !stdout.truncated && !stderr.truncated && !isTerminal(execution.status);
    if (!isWhole) this.storeAll();
    if (!isWhole || this.#buffer.end === undefined) this.#buffer.locate(execution, waiting);
  }

  /** The source is closed: returns what is in memory. Its agent has it too, and sends it again over its next connection. */
  close(source: ReportSource): StoredReport[] {
    if (source !== this.#source) return [];
    const left = this.#buffer.takeAll();
    this.#buffer.lose();
    this.#source = undefined;
    return left;
  }

  /** Stores all that is in memory. */
  storeAll(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#store(this.#buffer.takeAll());
  }

  /** Settles when all that is in memory now is stored, or its session is closed. */
  async flush(): Promise<void> {
    this.storeAll();
    await this.#source?.stored();
  }

  /**
   * A reader has everything before `offset`. Undefined if only the store can tell whether that has come, or if it has all of it. Otherwise
   * `written` settles when the store has the place, up to a small part of the buffer.
   */
  release(stream: Stream, offset: number): { written: Promise<void> } | undefined {
    const { end } = this;
    if (end === undefined || offset > end[stream]) return undefined;
    this.#buffer.release(stream, offset);
    this.#releasedAt = this.#now();
    const passed = this.#buffer.takeReleased(this.#placeEveryBytes);
    this.#store(passed);
    if (offset > this.#stored[stream])
      return { written: (passed.length > 0 ? this.#source?.stored() : undefined) ?? Promise.resolve() };
    this.#deleted[stream] = Math.max(this.#deleted[stream], offset);
    return undefined;
  }

  /** Whether the store is to learn that there is a reader; true once an interval. */
  takeReadNote(): boolean {
    if (this.#now() - this.#notedAt < NOTE_EVERY_MS) return false;
    this.#notedAt = this.#now();
    return true;
  }

  /** Returns the offset up to which the store has to delete a stream: it was released before it was stored. Undefined: nothing. */
  takeDeletable(stream: Stream): number | undefined {
    const offset = Math.min(this.released[stream], this.#stored[stream]);
    // The place of what is in memory states it as well.
    if (!this.#buffer.empty || offset <= this.#deleted[stream]) return undefined;
    this.#deleted[stream] = offset;
    return offset;
  }

  /** Returns bytes from `offset` on, none if no more have come. Undefined: the store has them, or will have. Throws OutputReleasedError. */
  read(stream: Stream, offset: number, maxBytes: number): Buffer[] | undefined {
    this.#assertNotReleased(stream, offset);
    return this.#buffer.read(stream, offset, maxBytes);
  }

  /** The same for both streams, in the order in which they were read on the machine. */
  readMerged(offsets: Readonly<Record<Stream, number>>, maxBytes: number): ReturnType<RelayBuffer['readMerged']> {
    this.#assertNotReleased('stdout', offsets.stdout);
    this.#assertNotReleased('stderr', offsets.stderr);
    return this.#buffer.readMerged(offsets, maxBytes);
  }

  dispose(): void {
    clearTimeout(this.#timer);
  }

  #assertNotReleased(stream: Stream, offset: number): void {
    if (offset < this.released[stream])
      throw new OutputReleasedError(`bytes before ${this.released[stream]} were released`);
  }

  get #isReleasing(): boolean {
    return this.#now() - this.#releasedAt < this.#releaseWithinMs;
  }

  #isRead(record: RawRecord): boolean {
    const stream = record.kind === REPORT_KIND.stdout ? 'stdout' : 'stderr';
    return [...this.#readers].some(({ streams }) => streams.includes(stream));
  }

  #store(reports: readonly StoredReport[]): void {
    if (reports.length === 0 || this.#source === undefined) return;
    this.#source.store(reports);
    const { released } = reports.findLast(isPassed) ?? {};
    if (released !== undefined) Object.assign(this.#deleted, released);
  }

  readonly #storeOld = (): void => {
    this.#timer = undefined;
    if (this.#buffer.empty) return;
    const left = this.#releasedAt + this.#releaseWithinMs - this.#now();
    if (left <= 0) this.storeAll();
    else this.#timer = setTimeout(this.#storeOld, left);
  };
}
