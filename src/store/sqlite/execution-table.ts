/** Where executions are loaded and saved, inside a write: the one place through which a status reaches the database. */
import { type ExecutionInput, isTerminal, transition } from '../../core/execution.ts';
import type { Execution, NewExecution } from '../store.ts';
import type { Database } from './database.ts';
import type { EventLog } from './event-log.ts';
import { type ExecutionRecord, prepareFind } from './execution-row.ts';

/** The statuses that an execution can begin with. */
type Waiting = 'queued' | 'wake_in_progress';

const INSERT = `INSERT INTO executions (execution_id, machine, status, created_at, expires_at, last_sequence, last_event_at)
  VALUES (?, ?, ?, ?, ?, 1, ?)`;
const INSERT_REQUEST = `INSERT INTO requests
  (execution, command, cwd, env_keys, user, timeout_ms, stdin_mode, callback_url, created_by) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`;
const UPDATE = `UPDATE executions SET status = ?, started_at = ?, completed_at = ?, cancel_requested_at = ?, cancelled_by = ?,
  dispatched_to = ?, dispatch_number = ?, exit_code = ?, signal = ?, error_code = ?, error_message = ?, stdout_bytes = ?,
  stdout_kept = ?, stdout_truncated = ?, stderr_bytes = ?, stderr_kept = ?, stderr_truncated = ?, last_sequence = ?,
  last_event_at = ?, reported = ? WHERE execution = ?`;

/** The statements of the table, made once. */
function prepare(db: Database) {
  const nextNumber = `UPDATE machines SET last_dispatch_number = last_dispatch_number + 1 WHERE machine = ?
    RETURNING last_dispatch_number`;
  return {
    find: prepareFind(db),
    insert: db.prepare(INSERT),
    insertRequest: db.prepare(INSERT_REQUEST),
    update: db.prepare(UPDATE),
    nextNumber: db.prepare<[number], number>(nextNumber).pluck(),
    countWaiting: db.prepare('UPDATE machines SET waiting = waiting + ? WHERE machine = ?'),
    seal: db.prepare('INSERT INTO sealed_inputs (execution, sealed) VALUES (?, ?)'),
    sealed: db.prepare<[number], Buffer>('SELECT sealed FROM sealed_inputs WHERE execution = ?').pluck(),
    wipe: db.prepare('DELETE FROM sealed_inputs WHERE execution = ?'),
    callBack: db.prepare('INSERT INTO callbacks (execution, created_at, due_at) VALUES (?, ?, ?)'),
  };
}

/** To be used inside a write. */
export class ExecutionTable {
  private readonly statements: ReturnType<typeof prepare>;
  private readonly log: EventLog;
  private readonly onWiped: () => void;

  /** `onWiped` is told when a sealed input was deleted: old copies of it may remain in the WAL. */
  constructor(db: Database, log: EventLog, onWiped: () => void) {
    this.statements = prepare(db);
    this.log = log;
    this.onWiped = onWiped;
  }

  find(executionId: string): ExecutionRecord | undefined {
    return this.statements.find(executionId);
  }

  /** Its env and stdin, sealed, as long as it has not ended. */
  sealedInput(key: number): Buffer | undefined {
    return this.statements.sealed.get(key);
  }

  /** Writes a new one, not dispatched, with its first event. */
  insert(asked: NewExecution, machineKey: number, status: Waiting, now: number): ExecutionRecord {
    const { sealedInput, ...request } = asked;
    const row = this.statements.insert.run(asked.executionId, machineKey, status, now, asked.expiresAt, now);
    const key = Number(row.lastInsertRowid);
    this.insertRequest(key, asked);
    if (sealedInput !== undefined) this.statements.seal.run(key, sealedInput);
    this.statements.countWaiting.run(1, machineKey);
    const execution: Execution = {
      ...request,
      status,
      createdAt: now,
      stdout: { bytes: 0, truncated: false },
      stderr: { bytes: 0, truncated: false },
      lastSequence: 1,
      reported: 0,
    };
    this.log.appendLifecycle(key, execution, now);
    return { key, machineKey, execution, kept: { stdout: 0, stderr: 0 }, lastEventAt: now };
  }

  /** Puts `input` to `transition` and writes what follows; false when it was refused. */
  advance(record: ExecutionRecord, input: ExecutionInput, now: number): boolean {
    if (!this.apply(record, input, now, now)) return false;
    this.save(record);
    return true;
  }

  /** Marks it as dispatched under the machine's next number; false when it may not be. */
  dispatch(record: ExecutionRecord, runnerInstance: string, now: number): boolean {
    if (!this.apply(record, { type: 'dispatched', runnerInstance }, now, now)) return false;
    const number = this.statements.nextNumber.get(record.machineKey);
    if (number === undefined) throw new Error(`no machine has the key ${record.machineKey}`);
    record.execution.dispatchNumber = number;
    this.save(record);
    return true;
  }

  /** As `advance`, but leaves the row to a later `save`. `eventAt`: the time of the event, if there is one. */
  apply(record: ExecutionRecord, input: ExecutionInput, now: number, eventAt: number): boolean {
    const before = record.execution;
    const step = transition(before, input, now);
    if (!step.ok) return false;
    record.execution = step.next;
    const left = Number(waits(step.next)) - Number(waits(before));
    if (left !== 0) this.statements.countWaiting.run(left, record.machineKey);
    if (!step.changed) return true;
    record.lastEventAt = Math.max(record.lastEventAt, eventAt);
    record.execution.lastSequence += 1;
    this.log.appendLifecycle(record.key, record.execution, record.lastEventAt);
    if (isTerminal(record.execution.status)) this.settle(record, now);
    return true;
  }

  /** Writes the row as the record has it. */
  save(record: ExecutionRecord): void {
    const { execution, kept } = record;
    this.statements.update.run(
      execution.status,
      execution.startedAt ?? null,
      execution.completedAt ?? null,
      execution.cancelRequestedAt ?? null,
      execution.cancelledBy ?? null,
      execution.dispatchedTo ?? null,
      execution.dispatchNumber ?? null,
      execution.exitCode ?? null,
      execution.signal ?? null,
      execution.errorCode ?? null,
      execution.errorMessage ?? null,
      execution.stdout.bytes,
      kept.stdout,
      execution.stdout.truncated ? 1 : 0,
      execution.stderr.bytes,
      kept.stderr,
      execution.stderr.truncated ? 1 : 0,
      execution.lastSequence,
      record.lastEventAt,
      execution.reported,
      record.key,
    );
  }

  private insertRequest(key: number, asked: NewExecution): void {
    this.statements.insertRequest.run(
      key,
      JSON.stringify(asked.command),
      asked.cwd ?? null,
      asked.envKeys.length === 0 ? '' : JSON.stringify(asked.envKeys),
      asked.user ?? null,
      asked.timeoutMs ?? null,
      asked.stdinMode,
      asked.callbackUrl ?? null,
      asked.createdBy,
    );
  }

  /** What the end of an execution brings with it. */
  private settle(record: ExecutionRecord, now: number): void {
    if (this.statements.wipe.run(record.key).changes > 0) this.onWiped();
    if (record.execution.callbackUrl !== undefined) this.statements.callBack.run(record.key, now, now);
  }
}

/** Counted against the machine's queue limit. */
function waits(execution: Execution): boolean {
  return execution.dispatchedTo === undefined && !isTerminal(execution.status);
}
