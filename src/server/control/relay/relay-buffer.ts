/** Output of one execution in memory: it has come from the agent, was not released by its readers, and is not stored. No I/O, no clock. */
import { storedUpTo } from '../../../core/decisions/output-streams.ts';
import { type Execution, isTerminal, type Stream } from '../../../core/execution.ts';
import { isPassed, type PassedOutput, type RawRecord, REPORT_KIND, type StoredReport } from '../../../core/report.ts';
import type { OutputChunk } from '../../../store/store.ts';

/** Bytes of one execution in memory, and reports: beyond them all are stored. More than an agent sends without an acknowledgement. */
const MAX_BYTES = 9 * 1024 * 1024;
const MAX_REPORTS = 4096;
/** Bytes in memory of all executions together, beyond which output is stored. */
const MAX_BYTES_OF_ALL = 64 * 1024 * 1024;

/** Bytes in memory of all executions together. */
export class RelayBudget {
  bytes = 0;
}

type Offsets = Record<Stream, number>;

/** A report of output in memory. */
interface Entry {
  record: RawRecord;
  stream: Stream;
  /** Bytes of the stream before it. */
  offset: number;
}

/** The stream of an output report. Undefined for any other report. */
function streamOf({ kind }: RawRecord): Stream | undefined {
  if (kind === REPORT_KIND.stdout) return 'stdout';
  return kind === REPORT_KIND.stderr ? 'stderr' : undefined;
}

/** The reports of one execution in memory, in order. Knows the place after all that has come, stored or not. */
export class RelayBuffer {
  readonly #streamBufferBytes: number;
  readonly #budget: RelayBudget;
  #entries: Entry[] = [];
  #bytes = 0;
  /** After all reports that have come: the number of the last one, and the bytes of each stream. Undefined: not known. */
  #tail: { number: number; bytes: Offsets } | undefined;
  /** The bytes of each stream before the first report in memory. */
  #base: Offsets = { stdout: 0, stderr: 0 };
  readonly #released: Offsets;

  /** `released`: how far its readers have released each stream. */
  constructor(p: { released: Readonly<Offsets>; streamBufferBytes: number; budget: RelayBudget }) {
    this.#budget = p.budget;
    this.#released = { ...p.released };
    this.#streamBufferBytes = p.streamBufferBytes;
  }

  /** Whether nothing is in memory. */
  get empty(): boolean {
    return this.#entries.length === 0;
  }

  get released(): Readonly<Offsets> {
    return this.#released;
  }

  /** The bytes of each stream that have come. Undefined if that is not known here. */
  get end(): Readonly<Offsets> | undefined {
    return this.#tail?.bytes;
  }

  /** The number of the last report that has come. Undefined if that is not known here. */
  get lastNumber(): number | undefined {
    return this.#tail?.number;
  }

  /** Learns the place after all that has come: the state in the store, and the reports that are about to be stored. */
  locate(stored: Execution, waiting: readonly StoredReport[]): void {
    const { stdout, stderr, outputMode, status } = stored;
    this.#tail = undefined;
    if (outputMode !== 'stream' || stdout.truncated || stderr.truncated || isTerminal(status)) return;
    this.#tail = { number: stored.reported, bytes: { stdout: stdout.bytes, stderr: stderr.bytes } };
    for (const report of waiting) if (report.executionId === stored.executionId) this.#advance(report);
  }

  /** Forgets the place. What is in memory must have been taken out before. */
  lose(): void {
    this.#tail = undefined;
  }

  /** A report goes to the store: it is the last that has come. Nothing may be in memory. */
  passBy(report: StoredReport): void {
    this.#advance(report);
  }

  /** Whether the report can be kept in memory: the next one, of output, and there is room for it. */
  fits(record: RawRecord): boolean {
    const stream = streamOf(record);
    if (this.#tail === undefined || stream === undefined || record.payload.length === 0) return false;
    if (record.number !== this.#tail.number + 1 || this.#entries.length >= MAX_REPORTS) return false;
    const bytes = record.payload.length;
    if (this.#bytes + bytes > MAX_BYTES || this.#budget.bytes + bytes > MAX_BYTES_OF_ALL) return false;
    const terms = { maxOutputBytes: 0, streamBufferBytes: this.#streamBufferBytes };
    const limit = storedUpTo({ execution: { outputMode: 'stream' }, released: this.#released }, stream, terms);
    return this.#tail.bytes[stream] + bytes <= limit;
  }

  /** Keeps a report that fits. */
  keep(record: RawRecord): void {
    const stream = streamOf(record);
    if (stream === undefined || this.#tail === undefined) throw new Error('a report is kept that does not fit');
    if (this.#entries.length === 0) this.#base = { ...this.#tail.bytes };
    this.#entries.push({ record, stream, offset: this.#tail.bytes[stream] });
    this.#count(record.payload.length);
    this.#advance(record);
  }

  /** A reader has everything before `offset`. */
  release(stream: Stream, offset: number): void {
    this.#released[stream] = Math.max(this.#released[stream], offset);
  }

  /** Takes everything out, to be stored: of reports that were released only their place. */
  takeAll(): StoredReport[] {
    return this.#take(this.#entries.length);
  }

  /**
   * Takes out the reports up to the last one that was released, if at least `minBytes` of them were released. Those between them that were
   * not, of the other stream, are to be stored: they must not hold up the acknowledgement of the others.
   */
  takeReleased(minBytes: number): StoredReport[] {
    let bytes = 0;
    let count = 0;
    for (const [index, entry] of this.#entries.entries()) {
      if (!this.#isReleased(entry)) continue;
      bytes += entry.record.payload.length;
      count = index + 1;
    }
    return bytes >= minBytes ? this.#take(count) : [];
  }

  /** Returns bytes from `offset` on, at most about `maxBytes`, none if no more have come. Undefined: the store has them, or will have. */
  read(stream: Stream, offset: number, maxBytes: number): Buffer[] | undefined {
    if (!this.#isHere(stream, offset)) return undefined;
    const parts: Buffer[] = [];
    let bytes = 0;
    for (const entry of this.#entries) {
      if (bytes >= maxBytes) break;
      const part = entry.stream === stream ? partFrom(entry, offset) : undefined;
      if (part === undefined) continue;
      parts.push(part);
      bytes += part.length;
    }
    return parts;
  }

  /** The same for both streams, in the order in which they were read on the machine. */
  readMerged(offsets: Readonly<Offsets>, maxBytes: number): OutputChunk[] | undefined {
    if (!this.#isHere('stdout', offsets.stdout) || !this.#isHere('stderr', offsets.stderr)) return undefined;
    const chunks: OutputChunk[] = [];
    let bytes = 0;
    for (const entry of this.#entries) {
      if (bytes >= maxBytes) break;
      const part = partFrom(entry, offsets[entry.stream]);
      if (part === undefined) continue;
      chunks.push({ stream: entry.stream, bytes: part });
      bytes += part.length;
    }
    return chunks;
  }

  /** Whether all that follows `offset` and has come is in memory. */
  #isHere(stream: Stream, offset: number): boolean {
    if (this.#tail === undefined) return false;
    const base = this.#entries.length === 0 ? this.#tail.bytes : this.#base;
    return offset >= base[stream];
  }

  #isReleased({ stream, offset, record }: Entry): boolean {
    return offset + record.payload.length <= this.#released[stream];
  }

  #count(bytes: number): void {
    this.#bytes += bytes;
    this.#budget.bytes += bytes;
  }

  #take(count: number): StoredReport[] {
    const taken: StoredReport[] = [];
    for (const entry of this.#entries.splice(0, count)) {
      const { record, stream, offset } = entry;
      this.#base = { ...this.#base, [stream]: offset + record.payload.length };
      this.#count(-record.payload.length);
      if (this.#isReleased(entry)) this.#addPassed(taken, record);
      else taken.push(record);
    }
    return taken;
  }

  /** Adds the place of a released report, which is the last of those before it if they were released too. */
  #addPassed(taken: StoredReport[], { executionId, number }: RawRecord): void {
    const last = taken.at(-1);
    const first = last !== undefined && isPassed(last) ? last.first : number;
    const upTo = { ...this.#base };
    const released = {
      stdout: Math.min(this.#released.stdout, upTo.stdout),
      stderr: Math.min(this.#released.stderr, upTo.stderr),
    };
    const passed: PassedOutput = { executionId, first, number, upTo, released };
    if (first !== number) taken.pop();
    taken.push(passed);
  }

  /** The place after one more report. A report out of turn makes it unknown. */
  #advance(report: StoredReport): void {
    if (this.#tail === undefined) return;
    const { number, bytes } = this.#tail;
    if ((isPassed(report) ? report.first : report.number) !== number + 1) this.#tail = undefined;
    else if (isPassed(report)) this.#tail = { number: report.number, bytes: { ...report.upTo } };
    else {
      const stream = streamOf(report);
      const grown = stream === undefined ? bytes : { ...bytes, [stream]: bytes[stream] + report.payload.length };
      this.#tail = { number: report.number, bytes: grown };
    }
  }
}

/** The bytes of a report from `offset` of its stream on. Undefined if it lies before that. */
function partFrom({ record: { payload }, offset: start }: Entry, offset: number): Buffer | undefined {
  if (start + payload.length <= offset) return undefined;
  return start >= offset ? payload : payload.subarray(offset - start);
}
