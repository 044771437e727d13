/**
 * The reports of one link on their way to disk: what arrives in a turn, or while the last batch is written, is one batch.
 * The socket is not read while too much waits, whatever holds it up; nothing is acknowledged before it is written.
 */
import type { RawRecord } from '../../../core/report.ts';
import { type ReportResult, StoreUnavailableError } from '../../../store/store.ts';
import { AGENT_LIMITS } from './limits.ts';
import { takeRecords } from './records.ts';

const RETRY_FIRST_MS = 100;
const RETRY_MOST_MS = 5000;

/** Bytes of reports of all agents that wait for the store. */
export class ReportBudget {
  bytes = 0;

  get spent(): boolean {
    return this.bytes > AGENT_LIMITS.unwrittenBytesOfAll;
  }
}

export interface ReportIntakeOptions {
  budget: ReportBudget;
  append(records: readonly RawRecord[]): Promise<ReportResult[]>;
  /** The batch is on disk. */
  committed(results: readonly ReportResult[]): void;
  pause(): void;
  resume(): void;
  /** The agent sent what is no report. */
  malformed(reason: string): void;
  /** The store cannot be written; comes once until it can be again. */
  unavailable(cause: StoreUnavailableError): void;
  /** A fault of ours: this batch cannot be written. */
  failed(cause: unknown): void;
}

export class ReportIntake {
  readonly #options: ReportIntakeOptions;
  #waiting: RawRecord[] = [];
  /** Of what waits and what is being written. */
  #bytes = 0;
  #writing = false;
  #scheduled = false;
  #paused = false;
  #closed = false;
  #retry: NodeJS.Timeout | undefined;

  constructor(options: ReportIntakeOptions) {
    this.#options = options;
  }

  /** Takes a message of records. */
  push(message: Buffer): void {
    if (this.#closed) return;
    const taken = takeRecords(message);
    if (!taken.ok) {
      this.#options.malformed(taken.reason);
      return;
    }
    for (const record of taken.records) this.#waiting.push(record);
    this.#account(message.length);
    if (this.#writing || this.#scheduled) return;
    this.#scheduled = true;
    queueMicrotask(() => {
      this.#scheduled = false;
      void this.#write();
    });
  }

  /** What is being written still is; what waits is dropped, for the agent has it. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#retry);
    this.#waiting = [];
    this.#options.budget.bytes -= this.#bytes;
    this.#bytes = 0;
  }

  async #write(): Promise<void> {
    if (this.#writing) return;
    this.#writing = true;
    while (!this.#closed && this.#waiting.length > 0) {
      const batch = firstOf(this.#waiting);
      const results = await this.#append(batch.records, RETRY_FIRST_MS);
      if (results === undefined || this.#closed) break;
      this.#waiting.splice(0, batch.records.length);
      this.#account(this.#waiting.length === 0 ? -this.#bytes : -Math.min(batch.bytes, this.#bytes));
      this.#options.committed(results);
    }
    this.#writing = false;
  }

  /** Tries until it is written or the link is closed; `undefined` then, and after a fault. */
  async #append(records: readonly RawRecord[], retryMs: number): Promise<readonly ReportResult[] | undefined> {
    for (let waitMs = retryMs; !this.#closed; waitMs = Math.min(waitMs * 2, RETRY_MOST_MS)) {
      try {
        return await this.#options.append(records);
      } catch (cause) {
        if (!(cause instanceof StoreUnavailableError)) {
          this.#options.failed(cause);
          return undefined;
        }
        if (waitMs === retryMs) this.#options.unavailable(cause);
      }
      await this.#pauseBefore(waitMs);
    }
    return undefined;
  }

  /** A link that closes leaves this unsettled, with nothing behind it. */
  #pauseBefore(waitMs: number): Promise<void> {
    if (this.#closed) return Promise.resolve();
    return new Promise((resolve) => {
      this.#retry = setTimeout(resolve, waitMs);
    });
  }

  #account(bytes: number): void {
    this.#bytes += bytes;
    this.#options.budget.bytes += bytes;
    const limit = this.#options.budget.spent ? 0 : AGENT_LIMITS.unwrittenBytes;
    this.#setPaused(this.#bytes > (this.#paused ? limit / 2 : limit));
  }

  #setPaused(paused: boolean): void {
    if (paused === this.#paused || this.#closed) return;
    this.#paused = paused;
    if (paused) this.#options.pause();
    else this.#options.resume();
  }
}

/** As many of the first records as one transaction takes; at least one. `bytes`: of their payloads. */
function firstOf(waiting: readonly RawRecord[]): { records: RawRecord[]; bytes: number } {
  let count = 0;
  let bytes = 0;
  for (const record of waiting) {
    if (count > 0 && (count >= AGENT_LIMITS.batchRecords || bytes + record.payload.length > AGENT_LIMITS.batchBytes)) {
      break;
    }
    count += 1;
    bytes += record.payload.length;
  }
  return { records: waiting.slice(0, count), bytes };
}
