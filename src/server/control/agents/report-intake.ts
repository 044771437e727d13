/**
 * Receives the reports of one session, writes them, notifies waiting clients, and has them acknowledged. Reports that arrive in one turn of
 * the event loop, or while a batch is written, form one batch. The socket is not read while too many bytes wait.
 */
import { isTerminal } from '../../../core/execution.ts';
import { CLOSE } from '../../../core/protocol.ts';
import { decodeRecords, isPassed, type StoredReport, sizeOf } from '../../../core/report.ts';
import { LOG_KEY } from '../../../node/log-keys.ts';
import { type Execution, type ReportBatch, type ReportResult, StoreUnavailableError } from '../../../store/store.ts';
import type { ReportSource } from '../relay/output-relay.ts';
import { storeLast } from '../relay/last-write.ts';
import { StoredReports } from '../relay/stored-reports.ts';
import type { Acknowledgements } from './acknowledgements.ts';
import type { AgentConnection } from './connection/connection.ts';
import { AGENT_LIMITS } from './connection/limits.ts';
import type { SessionDeps } from './session-deps.ts';

const RETRY_FIRST_MS = 100;
const RETRY_MAX_MS = 5000;
/** Log messages. */
const NOT_WRITTEN =
  'reports could not be written, and the agent was disconnected; it sends them again: an error of the server; report it';
const REFUSED = 'reports refused, for the reason in outcome, and the agent was disconnected; it reconnects';
const GAP = 'Reports are missing on the server and on the agent. A database restored from a backup can cause this.';

/** Bytes of reports of all agents that wait for the store. */
export class ReportBudget {
  bytes = 0;

  get spent(): boolean {
    return this.bytes > AGENT_LIMITS.unwrittenBytesOfAll;
  }
}

/** The session that receives the reports. */
export interface ReportingSession {
  readonly machineId: string;
  log(level: 'warn' | 'error', fields: object, text: string): void;
  freeSlot(executionId: string): boolean;
  /** Called when a slot may have become free. */
  claimMore(): void;
  markLost(execution: Execution, reason: string): void;
}

export type IntakeDeps = Pick<
  SessionDeps,
  'store' | 'relays' | 'reportBudget' | 'reportGaps' | 'commits' | 'now' | 'settings'
>;

/** Writes the reports of one session in order, one batch at a time. */
export class ReportIntake implements ReportSource {
  readonly #deps: IntakeDeps;
  /** Not read while too many bytes wait. Closed after a malformed report, or one that cannot be written. */
  readonly #connection: AgentConnection;
  readonly #acks: Acknowledgements;
  readonly #session: ReportingSession;
  /** Server clock minus agent clock, ms. */
  #clockOffsetMs = 0;
  #waiting: StoredReport[] = [];
  readonly #stored = new StoredReports();
  /** Bytes of reports that wait or are being written. */
  #bytes = 0;
  #writing = false;
  #scheduled = false;
  #paused = false;
  #closed = false;
  #retry: NodeJS.Timeout | undefined;

  constructor(
    deps: IntakeDeps,
    to: { connection: AgentConnection; acks: Acknowledgements; session: ReportingSession },
  ) {
    this.#deps = deps;
    this.#connection = to.connection;
    this.#acks = to.acks;
    this.#session = to.session;
  }

  /** Sets the agent's clock, ms since the epoch, by which its reports are dated. */
  agentClockIs(clockMs: number): void {
    this.#clockOffsetMs = this.#deps.now() - clockMs;
  }

  /** Receives a message of records. */
  push(message: Buffer): void {
    if (this.#closed) return;
    const decoded = decodeRecords(message);
    if (!decoded.ok) {
      this.#connection.close(CLOSE.badFrame, decoded.reason);
      return;
    }
    for (const record of decoded.records) if (!this.#deps.relays.take(this, record)) this.store([record]);
  }

  /** Stores reports, after all that it was given before. */
  store(reports: readonly StoredReport[]): void {
    if (this.#closed || reports.length === 0) return;
    for (const report of reports) this.#waiting.push(report);
    this.#account(reports.reduce((sum, report) => sum + sizeOf(report), 0));
    if (this.#writing || this.#scheduled) return;
    this.#scheduled = true;
    queueMicrotask(() => {
      this.#scheduled = false;
      void this.#write();
    });
  }

  /** Settles when all that it was given is stored, or the session is closed. */
  stored(): Promise<void> {
    return this.#stored.waitFor(this.#waiting.length);
  }

  /**
   * Ends the intake. A write under way is finished. Waiting reports are dropped, because the agent still has them. Output that readers may have
   * received is written in one more attempt.
   */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#retry);
    const relayed = this.#deps.relays.closed(this);
    const before = this.#waiting.filter(({ executionId }) => relayed.has(executionId));
    const last = [...before, ...[...relayed.values()].flat()];
    if (last.length > 0) this.#deps.relays.lastWrite(storeLast(this.#deps, this.#batch(last)));
    this.#waiting = [];
    this.#stored.close();
    this.#deps.reportBudget.bytes -= this.#bytes;
    this.#bytes = 0;
  }

  async #write(): Promise<void> {
    if (this.#writing) return;
    this.#writing = true;
    while (!this.#closed && this.#waiting.length > 0) {
      const batch = firstOf(this.#waiting);
      const results = await this.#append(batch.records);
      if (results === undefined || this.#closed) break;
      this.#waiting.splice(0, batch.records.length);
      this.#stored.add(batch.records.length);
      this.#account(this.#waiting.length === 0 ? -this.#bytes : -Math.min(batch.bytes, this.#bytes));
      this.#written(batch, results);
    }
    this.#writing = false;
  }

  /** Writes reports, repeatedly until they are written. Undefined if the session closes meanwhile, and after a fault. */
  async #append(records: readonly StoredReport[]): Promise<readonly ReportResult[] | undefined> {
    for (let waitMs = RETRY_FIRST_MS; !this.#closed; waitMs = Math.min(waitMs * 2, RETRY_MAX_MS)) {
      try {
        return await this.#deps.store.appendReports(this.#batch(records));
      } catch (cause) {
        if (!(cause instanceof StoreUnavailableError)) {
          this.#session.log('error', { err: cause }, NOT_WRITTEN);
          this.#connection.close(CLOSE.restart, 'the reports could not be written');
          return undefined;
        }
        if (waitMs === RETRY_FIRST_MS)
          this.#session.log(
            'warn',
            { err: cause },
            'reports wait, because the database cannot be written; trying again',
          );
      }
      await this.#pauseBefore(waitMs);
    }
    return undefined;
  }

  #batch(records: readonly StoredReport[]): ReportBatch {
    const { machineId } = this.#session;
    const { now, settings } = this.#deps;
    const { maxOutputBytes, streamBufferBytes, artifacts } = settings;
    const terms = { maxOutputBytes, streamBufferBytes, artifacts };
    return { machineId, records, clockOffsetMs: this.#clockOffsetMs, now: now(), ...terms };
  }

  /** Waits before the next attempt. Never settles if the session closes meanwhile. */
  #pauseBefore(waitMs: number): Promise<void> {
    if (this.#closed) return Promise.resolve();
    return new Promise((resolve) => {
      this.#retry = setTimeout(resolve, waitMs);
    });
  }

  /** Handles a batch that is on disk: notifies waiting clients, acknowledges it, then fills freed slots. */
  #written(batch: RecordBatch, results: readonly ReportResult[]): void {
    for (const { executionId, outcome, reported, execution } of results) {
      if (execution === undefined) continue;
      if (isTerminal(execution.status)) this.#session.freeSlot(executionId);
      if (outcome === 'applied') {
        this.#deps.reportGaps.filled(executionId);
        this.#deps.commits.committed(execution);
      }
      this.#deps.relays.stored(this, execution, this.#waiting);
      this.#acks.add(executionId, reported);
      // Executions that had ended before on the server.
      if (outcome === 'terminal') this.#acks.forget([executionId]);
    }
    // Passed reports open the window of the agent by more than their own size.
    if (batch.records.some(isPassed)) this.#acks.flush();
    else this.#acks.schedule(batch.bytes);
    this.#session.claimMore();
    const refused = results.find(({ outcome }) => outcome === 'foreign' || outcome === 'gap');
    if (refused !== undefined) this.#refuse(refused);
  }

  /** Closes the connection. The agent reconnects, and sends the missing reports or drops foreign ones. */
  #refuse({ executionId, outcome, execution }: ReportResult): void {
    this.#session.log('warn', { [LOG_KEY.executionId]: executionId, [LOG_KEY.outcome]: outcome }, REFUSED);
    if (outcome === 'foreign') {
      this.#connection.close(CLOSE.foreignExecution, `${executionId} is not of this machine`);
      return;
    }
    if (execution !== undefined && this.#deps.reportGaps.again(executionId)) this.#session.markLost(execution, GAP);
    this.#connection.close(CLOSE.badFrame, `a report of ${executionId} is missing`);
  }

  #account(bytes: number): void {
    this.#bytes += bytes;
    this.#deps.reportBudget.bytes += bytes;
    const limit = this.#deps.reportBudget.spent ? 0 : AGENT_LIMITS.unwrittenBytes;
    this.#setPaused(this.#bytes > (this.#paused ? limit / 2 : limit));
  }

  #setPaused(paused: boolean): void {
    if (paused === this.#paused || this.#closed) return;
    this.#paused = paused;
    if (paused) this.#connection.pause();
    else this.#connection.resume();
  }
}

/** Reports for one transaction, and the size of their payloads. */
interface RecordBatch {
  records: readonly StoredReport[];
  bytes: number;
}

/** Returns the first reports that fit into one transaction; at least one. */
function firstOf(waiting: readonly StoredReport[]): RecordBatch {
  let count = 0;
  let bytes = 0;
  for (const report of waiting) {
    const payloadBytes = isPassed(report) ? 0 : report.payload.length;
    if (count > 0 && (count >= AGENT_LIMITS.batchRecords || bytes + payloadBytes > AGENT_LIMITS.batchBytes)) break;
    count += 1;
    bytes += payloadBytes;
  }
  return { records: waiting.slice(0, count), bytes };
}
