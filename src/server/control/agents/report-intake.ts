/**
 * Takes the reports of one session: writes them, notifies waiting clients, acknowledges. Reports that arrive in one turn, or while the
 * last batch is written, form one batch. The socket is not read while too much waits, whatever the cause.
 */
import { isTerminal } from '../../../core/execution.ts';
import { CLOSE, type ServerFrame } from '../../../core/protocol.ts';
import { decodeRecord, type RawRecord } from '../../../core/report.ts';
import { LOG_KEY } from '../../../node/log-keys.ts';
import { type Execution, type ReportResult, StoreUnavailableError } from '../../../store/store.ts';
import type { AgentConnection } from './connection.ts';
import { AGENT_LIMITS } from './limits.ts';
import type { SessionDeps } from './session-deps.ts';

/** Kinds from here on are the journal's own and never leave the machine. Unknown kinds below it come from a newer agent. */
const FIRST_LOCAL_KIND = 64;
const RETRY_FIRST_MS = 100;
const RETRY_MAX_MS = 5000;
const MAX_GAPS = 10_000;
/** An acknowledgement may wait this long for a start to share a write with, ms, unless it opens the agent's window for this many bytes. */
const ACK_WITHIN_MS = 20;
const ACK_AT_BYTES = 64 * 1024;
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

/** Executions whose reports had a gap. A reconnected agent fills it, unless it has dropped the reports that the store lacks. */
export class ReportGaps {
  readonly #seen = new Set<string>();

  /** Records a gap. True for the second one of an execution: it will never be filled. */
  again(executionId: string): boolean {
    if (this.#seen.delete(executionId)) return true;
    this.#seen.add(executionId);
    const [oldest] = this.#seen;
    if (this.#seen.size > MAX_GAPS && oldest !== undefined) this.#seen.delete(oldest);
    return false;
  }

  /** Its reports continue: there is no gap any more. */
  filled(executionId: string): void {
    this.#seen.delete(executionId);
  }
}

/** The session that the reports come through. */
export interface ReportingSession {
  readonly machineId: string;
  log(level: 'warn' | 'error', fields: object, text: string): void;
  freeSlot(executionId: string): boolean;
  /** There may be more room for starts. */
  claimMore(): void;
  markLost(execution: Execution, reason: string): void;
}

export type IntakeDeps = Pick<SessionDeps, 'store' | 'reportBudget' | 'reportGaps' | 'commits' | 'now' | 'settings'>;

/** Takes the reports of one session, in order, one batch at a time. */
export class ReportIntake {
  readonly #deps: IntakeDeps;
  /** The connection is not read while too much waits. It is closed if it sends a malformed report, or one that cannot be written. */
  readonly #connection: AgentConnection;
  readonly #session: ReportingSession;
  /** Server clock minus agent clock, ms. */
  #clockOffsetMs = 0;
  #waiting: RawRecord[] = [];
  /** Bytes of reports that wait or are being written. */
  #bytes = 0;
  #writing = false;
  #scheduled = false;
  #paused = false;
  #closed = false;
  #retry: NodeJS.Timeout | undefined;
  /** On disk, or no longer wanted, and not yet acknowledged. */
  #acks = new Map<string, number>();
  #forget = new Set<string>();
  /** Bytes of the reports that `#acks` acknowledges. */
  #ackBytes = 0;
  #ackTimer: NodeJS.Timeout | undefined;

  constructor(deps: IntakeDeps, connection: AgentConnection, session: ReportingSession) {
    this.#deps = deps;
    this.#connection = connection;
    this.#session = session;
  }

  /** `clockMs`: the agent's clock, ms since the epoch, by which its reports are dated. */
  agentClockIs(clockMs: number): void {
    this.#clockOffsetMs = this.#deps.now() - clockMs;
  }

  /** Takes a message of records. */
  push(message: Buffer): void {
    if (this.#closed) return;
    const decoded = decodeRecords(message);
    if (!decoded.ok) {
      this.#connection.close(CLOSE.badFrame, decoded.reason);
      return;
    }
    for (const record of decoded.records) this.#waiting.push(record);
    this.#account(message.length);
    if (this.#writing || this.#scheduled) return;
    this.#scheduled = true;
    queueMicrotask(() => {
      this.#scheduled = false;
      void this.#write();
    });
  }

  /** A write under way is finished. Waiting reports are dropped: the agent has them. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#retry);
    clearTimeout(this.#ackTimer);
    this.#waiting = [];
    this.#deps.reportBudget.bytes -= this.#bytes;
    this.#bytes = 0;
  }

  /** The server wants nothing more of these, whatever reports the agent still has. */
  forget(executionIds: readonly string[]): void {
    for (const executionId of executionIds) this.#forget.add(executionId);
    this.flush();
  }

  /** Acknowledges what is on disk, unless much is unsent already: then the acknowledgement waits, at most one number per execution. */
  flush(): void {
    if (this.#connection.unsentBytes > AGENT_LIMITS.unsentLow) return;
    clearTimeout(this.#ackTimer);
    this.#ackTimer = undefined;
    this.#ackBytes = 0;
    if (this.#acks.size > 0) this.#connection.send({ type: 'ack', acks: [...this.#acks] });
    if (this.#forget.size > 0) this.#connection.send({ type: 'forget', execution_ids: [...this.#forget] });
    this.#acks = new Map();
    this.#forget = new Set();
  }

  /** The same, in one write with this frame. */
  flushWith(frame: ServerFrame, attachment?: Buffer): void {
    this.#connection.together(() => {
      this.flush();
      this.#connection.send(frame, attachment);
    });
  }

  /** Acknowledges a batch of `bytes` bytes: at once if it is large, else with the next start, which often follows. */
  #acknowledge(bytes: number): void {
    this.#ackBytes += bytes;
    if (this.#ackBytes >= ACK_AT_BYTES || this.#forget.size > 0) this.flush();
    else if (!this.#closed) this.#ackTimer ??= setTimeout(() => this.flush(), ACK_WITHIN_MS);
  }

  async #write(): Promise<void> {
    if (this.#writing) return;
    this.#writing = true;
    while (!this.#closed && this.#waiting.length > 0) {
      const batch = firstOf(this.#waiting);
      const results = await this.#append(batch.records);
      if (results === undefined || this.#closed) break;
      this.#waiting.splice(0, batch.records.length);
      this.#account(this.#waiting.length === 0 ? -this.#bytes : -Math.min(batch.bytes, this.#bytes));
      this.#written(results, batch.bytes);
    }
    this.#writing = false;
  }

  /** Tries until it is written or the session is closed; `undefined` then, and after a fault. */
  async #append(records: readonly RawRecord[]): Promise<readonly ReportResult[] | undefined> {
    for (let waitMs = RETRY_FIRST_MS; !this.#closed; waitMs = Math.min(waitMs * 2, RETRY_MAX_MS)) {
      try {
        const { machineId } = this.#session;
        const { store, now, settings } = this.#deps;
        const { maxOutputBytes, streamBufferBytes } = settings;
        const batch = { machineId, records, clockOffsetMs: this.#clockOffsetMs, now: now() };
        return await store.appendReports({
          ...batch,
          maxOutputBytes,
          streamBufferBytes,
          artifacts: settings.artifacts,
        });
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

  /** A session that closes leaves this pending, with nothing behind it. */
  #pauseBefore(waitMs: number): Promise<void> {
    if (this.#closed) return Promise.resolve();
    return new Promise((resolve) => {
      this.#retry = setTimeout(resolve, waitMs);
    });
  }

  /** A batch is on disk: waiting clients are notified first, then a freed slot is filled, and it is acknowledged. */
  #written(results: readonly ReportResult[], bytes: number): void {
    for (const { executionId, outcome, reported, execution } of results) {
      if (execution === undefined) continue;
      if (isTerminal(execution.status)) this.#session.freeSlot(executionId);
      if (outcome === 'applied') {
        this.#deps.reportGaps.filled(executionId);
        this.#deps.commits.committed(execution);
      }
      this.#acks.set(executionId, reported);
      // Executions that had ended before on the server.
      if (outcome === 'terminal') this.#forget.add(executionId);
    }
    this.#acknowledge(bytes);
    this.#session.claimMore();
    const refused = results.find(({ outcome }) => outcome === 'foreign' || outcome === 'gap');
    if (refused !== undefined) this.#refuse(refused);
  }

  /** The agent reconnects, and sends the missing reports or drops those that are not its own. */
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

type Decoded = { ok: true; records: RawRecord[] } | { ok: false; reason: string };

/** Decodes the records of a message; their payloads are views into it. A message with anything else in it is refused as a whole. */
function decodeRecords(message: Buffer): Decoded {
  const records: RawRecord[] = [];
  for (let offset = 0; offset < message.length; ) {
    const decoded = decodeRecord(message, offset);
    if (!decoded.ok) return { ok: false, reason: `a record that is ${decoded.reason}` };
    const { kind, number } = decoded.record;
    if (kind < 1 || kind >= FIRST_LOCAL_KIND || number < 1) {
      return { ok: false, reason: `a record of kind ${kind} under number ${number}` };
    }
    records.push(decoded.record);
    offset += decoded.bytes;
  }
  return records.length > 0 ? { ok: true, records } : { ok: false, reason: 'an empty message' };
}

/** Counts the first records that fit into one transaction; at least one. `bytes`: size of their payloads. */
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
