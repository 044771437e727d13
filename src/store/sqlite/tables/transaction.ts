/** The transaction of a use case within a write of the writer: reads and writes at once, by prepared statements. */
import type { ExecutionChange, ExecutionRecord } from '../../../core/decisions/execution-draft.ts';
import { type MachineQueue, type NewRecord, queueAfter } from '../../../core/decisions/queue.ts';
import { type BoundKey, mayAct, replayOf } from '../../../core/decisions/retries.ts';
import type { NewExecution } from '../../../core/execution.ts';
import type { Actor, Artifact, Idempotency, Replay } from '../../store.ts';
import type { Transaction } from '../../transactions/transaction.ts';
import type { Database } from '../file/database.ts';
import type { EventLog } from './event-log.ts';
import { Expiries } from './expiries.ts';
import { ListKeys } from './list-keys.ts';
import { ArtifactTable } from './artifact-table.ts';
import type { MachineTable } from './machine-table.ts';
import type { OutputTails } from './output-tails.ts';
import type { StreamChunks } from './stream-chunks.ts';
import { requestColumns, stateColumns } from '../../rows/execution-columns.ts';
import { type ExecutionRow, toRecord } from '../../rows/execution-row.ts';
import { prepareFind, SELECT_EXECUTION } from './select-execution.ts';

interface QueueRow {
  id: number;
  phase: string;
  desired_state: string;
  epoch: number;
  runner_instance: string | null;
  waiting: number;
  waiting_bytes: number;
  last_dispatch_number: number;
}

const QUEUE_COLUMNS = 'id, phase, desired_state, epoch, runner_instance, waiting, waiting_bytes, last_dispatch_number';
/** Keys rise, and no key is given out twice. */
const INSERT = `INSERT INTO executions (id, public_id, machine_id, status, created_at, expires_at, dispatched_to,
  dispatch_number, last_sequence, last_event_at, is_terminal, output_mode, output_read_at)
  SELECT 1 + max(coalesce((SELECT max(id) FROM executions), 0), highest_deleted), ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?
  FROM execution_keys`;
const INSERT_REQUEST = `INSERT INTO requests (execution_id, command, cwd, env_keys, user, timeout_ms, stdin_mode, callback_url,
  created_by, queued_bytes, artifacts, launch)
  VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`;
const UPDATE = `UPDATE executions SET status = ?, started_at = ?, completed_at = ?, cancel_requested_at = ?, cancelled_by = ?,
  dispatched_to = ?, dispatch_number = ?, exit_code = ?, signal = ?, error_code = ?, error_message = ?, stdout_bytes = ?,
  stdout_kept = ?, stdout_truncated = ?, stderr_bytes = ?, stderr_kept = ?, stderr_truncated = ?, last_sequence = ?,
  last_event_at = ?, reported = ?, output_mode = ?, artifacts = ?, usage = ? WHERE id = ?`;
const WAITING = 'e.dispatch_number IS NULL AND e.completed_at IS NULL';
const OF_MACHINE = 'e.machine_id = (SELECT id FROM machines WHERE public_id = ?)';

/** The statements, made once. */
function prepare(db: Database) {
  return {
    find: prepareFind(db),
    insert: db.prepare(INSERT),
    insertRequest: db.prepare(INSERT_REQUEST),
    update: db.prepare(UPDATE),
    queue: db.prepare<[string], QueueRow>(`SELECT ${QUEUE_COLUMNS} FROM machines WHERE public_id = ?`),
    queueByKey: db.prepare<[number], QueueRow>(`SELECT ${QUEUE_COLUMNS} FROM machines WHERE id = ?`),
    saveQueue: db.prepare('UPDATE machines SET waiting = ?, waiting_bytes = ?, last_dispatch_number = ? WHERE id = ?'),
    claimable: db.prepare<[string, number, number], ExecutionRow>(
      `${SELECT_EXECUTION} WHERE ${OF_MACHINE} AND ${WAITING} AND +e.status = 'queued' AND +e.expires_at > ?
       ORDER BY e.id LIMIT ?`,
    ),
    unfinished: db.prepare<[number], ExecutionRow>(
      `${SELECT_EXECUTION} WHERE e.machine_id = ? AND e.completed_at IS NULL`,
    ),
    waking: db.prepare<[string, number], ExecutionRow>(
      `${SELECT_EXECUTION} WHERE ${OF_MACHINE} AND ${WAITING} AND +e.status = 'wake_in_progress' ORDER BY e.id LIMIT ?`,
    ),
    seal: db.prepare('INSERT INTO sealed_inputs (execution_id, sealed) VALUES (?, ?)'),
    sealed: db.prepare<[number], Buffer>('SELECT sealed FROM sealed_inputs WHERE execution_id = ?').pluck(),
    wipe: db.prepare('DELETE FROM sealed_inputs WHERE execution_id = ?'),
    callBack: db.prepare('INSERT INTO callbacks (execution_id, created_at, due_at) VALUES (?, ?, ?)'),
    apiKey: db.prepare<[string], { revoked_at: number | null; expires_at: number | null }>(
      'SELECT revoked_at, expires_at FROM api_keys WHERE public_id = ?',
    ),
    boundKey: db.prepare<[string, string], BoundKey>(
      'SELECT digest, resource, expires_at AS expiresAt FROM idempotency WHERE api_key = ? AND key = ?',
    ),
    bind: db.prepare(
      'INSERT OR REPLACE INTO idempotency (api_key, key, digest, resource, expires_at) VALUES (?, ?, ?, ?, ?)',
    ),
    release: db.prepare('DELETE FROM idempotency WHERE api_key = ? AND key = ?'),
  };
}

/** The Transaction of SQLite. Its methods run inside a write. */
export class SqliteTransaction implements Transaction {
  readonly #statements: ReturnType<typeof prepare>;
  readonly #log: EventLog;
  readonly #chunks: StreamChunks;
  readonly #tails: OutputTails;
  readonly #onWiped: () => void;
  readonly machines: MachineTable;
  readonly #artifacts: ArtifactTable;
  readonly #lists: ListKeys;
  readonly expiries: Expiries;

  /** `onWiped` is called when a sealed input was deleted: old copies of it may remain in the write-ahead log. */
  constructor(
    db: Database,
    tables: { log: EventLog; chunks: StreamChunks; tails: OutputTails; machines: MachineTable },
    onWiped: () => void,
  ) {
    this.#statements = prepare(db);
    this.#log = tables.log;
    this.#chunks = tables.chunks;
    this.#tails = tables.tails;
    this.machines = tables.machines;
    this.#onWiped = onWiped;
    this.#artifacts = new ArtifactTable(db);
    this.#lists = new ListKeys(db);
    this.expiries = new Expiries(db);
  }

  mayAct(actor: Actor | undefined, now: number): boolean {
    if (actor === undefined) return true;
    const row = this.#statements.apiKey.get(actor.apiKeyId);
    return mayAct(
      row && {
        ...(row.revoked_at !== null && { revokedAt: row.revoked_at }),
        ...(row.expires_at !== null && { expiresAt: row.expires_at }),
      },
      now,
    );
  }

  replay(idempotency: Idempotency | undefined, now: number): Replay | undefined {
    if (idempotency === undefined) return undefined;
    const { apiKeyId, key } = idempotency;
    return replayOf(this.#statements.boundKey.get(apiKeyId, key), idempotency, now);
  }

  bind(idempotency: Idempotency | undefined, resource: string): void {
    if (idempotency === undefined) return;
    const { apiKeyId, key, digest, expiresAt } = idempotency;
    this.#statements.bind.run(apiKeyId, key, digest, resource, expiresAt);
  }

  release(apiKeyId: string, key: string): void {
    this.#statements.release.run(apiKeyId, key);
  }

  queue(machineId: string): MachineQueue | undefined {
    const row = this.#statements.queue.get(machineId);
    return row && toQueue(row);
  }

  execution(executionId: string): ExecutionRecord | undefined {
    return this.#statements.find(executionId);
  }

  artifact(artifactId: string): Artifact | undefined {
    return this.#artifacts.find(artifactId);
  }

  artifactBytes(): number {
    return this.#artifacts.totalBytes();
  }

  expiredArtifacts({ now, limit }: { now: number; limit: number }): Artifact[] {
    return this.#artifacts.expired(now, limit);
  }

  dropArtifact(artifactId: string): void {
    this.#artifacts.drop(artifactId);
  }

  removeArtifact(artifactId: string, at: number): void {
    this.#artifacts.remove(artifactId, at);
  }

  forgetDeletedArtifacts(before: number): void {
    this.#artifacts.forgetDeleted(before);
  }

  deletedArtifact(artifactId: string): Artifact | undefined {
    return this.#artifacts.findDeleted(artifactId);
  }

  sealedInput({ key }: ExecutionRecord): Buffer | undefined {
    return this.#statements.sealed.get(key);
  }

  claimable(p: { machineId: string; now: number; limit: number }): ExecutionRecord[] {
    return this.#statements.claimable.all(p.machineId, p.now, p.limit).map(toRecord);
  }

  unfinished(machineKey: number): ExecutionRecord[] {
    const rows = this.#statements.unfinished.all(machineKey);
    return rows.sort((a, b) => a.id - b.id).map(toRecord);
  }

  waking(p: { machineId: string; limit: number }): ExecutionRecord[] {
    return this.#statements.waking.all(p.machineId, p.limit).map(toRecord);
  }

  insert(record: NewRecord, newExecution: NewExecution, queue: MachineQueue): void {
    const { execution, machineKey, lastEventAt, queuedBytes } = record;
    const { status, createdAt, expiresAt, dispatchedTo = null, dispatchNumber = null, lastSequence } = execution;
    const { lastInsertRowid } = this.#statements.insert.run(
      newExecution.executionId,
      machineKey,
      status,
      createdAt,
      expiresAt,
      dispatchedTo,
      dispatchNumber,
      lastSequence,
      lastEventAt,
      newExecution.isTerminal ? 1 : 0,
      newExecution.outputMode ?? 'keep',
      newExecution.outputMode === undefined ? null : createdAt,
    );
    const key = Number(lastInsertRowid);
    this.#statements.insertRequest.run(key, ...requestColumns(newExecution, queuedBytes));
    if (newExecution.sealedInput !== undefined) this.#statements.seal.run(key, newExecution.sealedInput);
    this.#lists.created(machineKey, key);
    if (dispatchNumber === null) this.expiries.created(machineKey, expiresAt);
    this.#saveQueue(queue);
  }

  save(change: ExecutionChange): void {
    const { after, entries, streamed, tails, releases, waiting, ended, artifacts } = change;
    this.#log.append(after, entries);
    this.#statements.update.run(...stateColumns(after).map(toSql), after.key);
    this.#chunks.append(after.key, streamed);
    if (releases) this.#chunks.release(after);
    this.#tails.add(after.key, tails);
    if (artifacts.length > 0) {
      const { machineKey, execution } = after;
      this.#artifacts.apply({ machineKey, executionId: execution.executionId }, artifacts);
    }
    if (waiting !== 0) {
      const row = this.#statements.queueByKey.get(after.machineKey);
      if (row === undefined) throw new Error(`no machine has the key ${after.machineKey}`);
      this.#saveQueue(queueAfter(toQueue(row), change));
    }
    if (!ended) return;
    const { completedAt = 0, callbackUrl, status } = after.execution;
    if (status === 'succeeded') this.#lists.succeeded(after.key);
    if (this.#statements.wipe.run(after.key).changes > 0) this.#onWiped();
    if (callbackUrl !== undefined) this.#statements.callBack.run(after.key, completedAt, completedAt);
  }

  #saveQueue({ key, waiting, waitingBytes, lastDispatchNumber }: MachineQueue): void {
    this.#statements.saveQueue.run(waiting, waitingBytes, lastDispatchNumber, key);
  }
}

function toQueue(row: QueueRow): MachineQueue {
  return {
    key: row.id,
    connected: row.phase === 'running',
    removed: row.desired_state === 'destroyed',
    epoch: row.epoch,
    ...(row.runner_instance !== null && { runnerInstance: row.runner_instance }),
    waiting: row.waiting,
    waitingBytes: row.waiting_bytes,
    lastDispatchNumber: row.last_dispatch_number,
  };
}

/** SQLite has no booleans: true is 1. */
function toSql(value: string | number | boolean | null): string | number | null {
  return typeof value === 'boolean' ? Number(value) : value;
}
