import { readdirSync } from 'node:fs';
import { encodeRecord, REPORT_KIND, type ReportKind } from '../../../core/report.ts';
import type { Clock } from './clock.ts';
import type { ProcessIdentity } from '../../../node/process-identity.ts';
import { ExecutionLog } from './execution-log.ts';
import { encodeNote, type NoteKind } from './notes.ts';
import { RecordCache } from './record-cache.ts';
import { replay } from './replay.ts';
import { Segment, segmentIds, splitPosition } from './segment.ts';
import { makeDirectory } from '../../../node/directory.ts';

/** Bytes added to the size of each indexed report, so that the quota also limits the index in memory. */
const INDEX_CHARGE_BYTES = 512;
/** Fraction of the quota below which output continues after the quota was exceeded. */
const RESUME_PART = 0.9;
const CACHE_BYTES = 2 << 20;
/** Bytes that are written at once, so that a disk with little room takes a part. */
const WRITE_BYTES = 512 << 10;
/** Size of a segment above which it is reduced on a full disk. */
const REDUCED_BYTES = 64 << 10;
/** The execution id of a checkpoint, which concerns the whole journal: each record needs an id. */
const CHECKPOINT_ID = 'checkpoint';

export interface JournalOptions {
  /** Created with mode 0700 if it is missing. */
  directory: string;
  clock: Clock;
  /** Size above which a new segment is begun; at most 64 MiB. */
  segmentBytes?: number;
  /** Size above which the journal is `full`, and sources of output have to wait. */
  quotaBytes?: number;
  /** Called after each report that is on disk. */
  onReport?: (log: ExecutionLog) => void;
}

interface Pending {
  log: ExecutionLog;
  record: Buffer;
  report?: { kind: number; number: number; payload: Buffer };
  written?: () => void;
}

/**
 * The runner's append-only journal, in segment files. A report is written before it is sent, and dropped when it is acknowledged.
 * Segments are removed oldest first; each begins with the executions that are live, so that no old segment is kept for them.
 */
export class Journal {
  /** Executions of which records are needed. */
  readonly logs: Map<string, ExecutionLog>;
  readonly #options: Required<JournalOptions>;
  readonly #segments: Segment[];
  readonly #cache = new RecordCache(CACHE_BYTES);
  #pending: Pending[] = [];
  #bytes: number;
  #full = false;
  #nextSegment: number;
  /** The segment that this run writes to. */
  #current: Segment | undefined;

  constructor(options: JournalOptions) {
    this.#options = { segmentBytes: 8 << 20, quotaBytes: 1 << 30, onReport: () => {}, ...options };
    makeDirectory(options.directory, 0o700);
    const ids = segmentIds(readdirSync(options.directory));
    this.#segments = ids.map((id) => Segment.open(options.directory, id));
    this.#nextSegment = (ids.at(-1) ?? 0) + 1;
    this.logs = replay(this.#segments);
    this.#bytes = this.#segments.reduce((sum, { size, needed }) => sum + size + needed * INDEX_CHARGE_BYTES, 0);
    for (const log of [...this.logs.values()]) if (log.forgotten || (!log.live && log.done)) this.#drop(log);
  }

  /** Whether the quota was exceeded and acknowledgements have not yet freed a tenth of it. */
  get full(): boolean {
    return this.#full;
  }

  /** Whether more than half of the quota is used. */
  get halfFull(): boolean {
    return this.#bytes > this.#options.quotaBytes / 2;
  }

  /** Accepts an execution. `log.accepted` is set once that is on disk. */
  accept(executionId: string, dispatchNumber: number): ExecutionLog {
    const log = new ExecutionLog(executionId, dispatchNumber);
    this.logs.set(executionId, log);
    this.#note(log, 'accepted', { dispatch_number: dispatchNumber }, () => {
      log.accepted = true;
    });
    return log;
  }

  spawned(log: ExecutionLog, process: ProcessIdentity): void {
    if (log.forgotten) return;
    log.process = process;
    this.#note(log, 'spawned', process);
  }

  /** Adds a report with the next number. It may be sent once it is on disk. */
  report(log: ExecutionLog, kind: ReportKind, payload: Buffer): void {
    if (log.forgotten) return;
    const number = ++log.reported;
    const { executionId } = log;
    const kindNumber = REPORT_KIND[kind];
    const record = encodeRecord({ kind: kindNumber, executionId, number, at: this.#options.clock.now(), payload });
    this.#pending.push({ log, record, report: { kind: kindNumber, number, payload } });
  }

  /** Drops the reports up to `number`. Returns their size in bytes. */
  acknowledge(log: ExecutionLog, number: number): number {
    let bytes = 0;
    log.index.dropThrough(number, (position, length) => {
      bytes += length;
      this.#cache.take(position);
      this.#release(position);
    });
    if (log.done) this.forget(log);
    else this.#trim();
    return bytes;
  }

  /** Drops all records of an execution. */
  forget(log: ExecutionLog): void {
    if (log.forgotten) return;
    log.forgotten = true;
    this.#note(log, 'forgotten', {});
    this.#drop(log);
  }

  /**
   * Writes the additions since the last call. Throws the error of the file system; then the additions that are not on disk are kept in memory.
   */
  flush(): void {
    this.#pending = this.#pending.filter(({ log, report }) => report === undefined || !log.forgotten);
    while (this.#pending.length > 0) {
      const batch = firstOf(this.#pending, WRITE_BYTES);
      try {
        this.#write(batch);
      } catch (error) {
        // The disk may be full of acknowledged records.
        if (!this.#freeRoom()) throw error;
        this.#write(batch);
      }
    }
    this.#trim();
  }

  #write(batch: readonly Pending[]): void {
    const bytes = batch.reduce((sum, { record }) => sum + record.length, 0);
    const segment = this.#segmentFor(bytes);
    const checkpoint = segment.size === 0 ? this.#checkpoint() : [];
    const start = segment.size;
    segment.append([...checkpoint, ...batch.map(({ record }) => record)]);
    this.#pending = this.#pending.slice(batch.length);
    this.#bytes += segment.size - start;
    let position = segment.position(start + checkpoint.reduce((sum, { length }) => sum + length, 0));
    for (const entry of batch) {
      this.#wrote(entry, segment, position);
      position += entry.record.length;
    }
  }

  /**
   * Reduces the only segment with records to the live executions, if none of its reports is needed. It is written in place, because a full disk
   * has no room for another one. Returns whether it did.
   */
  #freeRoom(): boolean {
    const last = this.#segments.at(-1);
    const empty = last?.size === 0 ? last : undefined;
    const segment = empty === undefined ? last : this.#segments.at(-2);
    if (segment === undefined || segment !== this.#segments[0]) return false;
    const before = segment.size;
    if (segment.needed > 0 || before < REDUCED_BYTES || !segment.rewrite(this.#checkpoint())) return false;
    if (empty !== undefined) {
      this.#segments.pop();
      empty.remove();
    }
    this.#current = segment;
    this.#bytes += segment.size - before;
    return true;
  }

  /** Returns the bytes of report `number`, which is on disk and unacknowledged. */
  read(log: ExecutionLog, number: number): Buffer {
    const { position, length } = log.index.at(number);
    const cached = this.#cache.take(position);
    if (cached !== undefined) return cached;
    const { segmentId, offset } = splitPosition(position);
    const bytes = Buffer.allocUnsafe(length);
    const read = this.#segment(segmentId).read(bytes, offset);
    if (read !== length) throw new Error(`journal segment ${segmentId} is shorter than it was`);
    return bytes;
  }

  /** Closes the files, and removes all of them if no record is needed. */
  close(): void {
    const empty = this.logs.size === 0 && this.#pending.every(({ log }) => log.forgotten);
    for (const segment of this.#segments.splice(0)) empty ? segment.remove() : segment.close();
  }

  #note(log: ExecutionLog, kind: NoteKind, payload: object, written?: () => void): void {
    const record = encodeNote(log.executionId, kind, this.#options.clock.now(), payload);
    this.#pending.push({ log, record, ...(written && { written }) });
  }

  #wrote({ log, record, report, written }: Pending, segment: Segment, position: number): void {
    written?.();
    if (report === undefined) return;
    log.wrote(report.number, report.kind, report.payload, position, record.length);
    segment.needed++;
    this.#bytes += INDEX_CHARGE_BYTES;
    this.#cache.put(position, record);
    this.#options.onReport(log);
  }

  #checkpoint(): Buffer[] {
    const now = this.#options.clock.now();
    const live = [...this.logs.values()].filter((log) => log.live);
    return [
      encodeNote(CHECKPOINT_ID, 'checkpoint', now),
      ...live.map((log) => encodeNote(log.executionId, 'live', now, log.liveNote())),
    ];
  }

  /** Returns the segment to write `bytes` to: a new one if this run has none yet, or if it would get too large. */
  #segmentFor(bytes: number): Segment {
    const current = this.#current;
    const fits = current !== undefined && current.size + bytes <= this.#options.segmentBytes;
    return current !== undefined && (fits || current.size === 0) ? current : this.#begin();
  }

  #begin(): Segment {
    const segment = Segment.create(this.#options.directory, this.#nextSegment++);
    this.#segments.push(segment);
    this.#current = segment;
    return segment;
  }

  #drop(log: ExecutionLog): void {
    log.index.dropThrough(log.index.last, (position) => {
      this.#cache.take(position);
      this.#release(position);
    });
    this.logs.delete(log.executionId);
    this.#trim();
  }

  #release(position: number): void {
    this.#segment(splitPosition(position).segmentId).needed--;
    this.#bytes -= INDEX_CHARGE_BYTES;
  }

  /** Removes segments that are not needed, oldest first, once the current segment contains the live executions. */
  #trim(): void {
    const current = this.#current;
    while (current !== undefined && current.size > 0 && this.#segments[0] !== current) {
      const oldest = this.#segments[0];
      if (oldest === undefined || oldest.needed > 0) break;
      this.#segments.shift();
      this.#bytes -= oldest.size;
      oldest.remove();
    }
    const limit = this.#options.quotaBytes;
    this.#full = this.#bytes > (this.#full ? limit * RESUME_PART : limit);
  }

  #segment(id: number): Segment {
    // Ids are contiguous, unless a file was removed by hand.
    const byOffset = this.#segments[id - (this.#segments[0]?.id ?? 0)];
    const segment = byOffset?.id === id ? byOffset : this.#segments.find((candidate) => candidate.id === id);
    if (segment === undefined) throw new Error(`no journal segment ${id}`);
    return segment;
  }
}

/** Returns the first entries, of `maxBytes` together; at least one. */
function firstOf(pending: readonly Pending[], maxBytes: number): Pending[] {
  let bytes = 0;
  const end = pending.findIndex(({ record }, at) => {
    bytes += record.length;
    return at > 0 && bytes > maxBytes;
  });
  return pending.slice(0, end === -1 ? pending.length : end);
}
