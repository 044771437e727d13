/** The batches of an SQLite database. */
import { nextBatchStep, SPENT } from '../../../core/decisions/batch.ts';
import {
  type BatchRow,
  countsText,
  memberKey,
  MEMBER_KEY_MS,
  moveMembers,
  progressOf,
  type Tally,
  tallyOf,
  tallyText,
  toBatch,
  toMember,
} from '../../rows/batch-row.ts';
import { toExecution } from '../../rows/execution-row.ts';
import { toPage } from '../../rows/page.ts';
import type { Batch, BatchAdvance, BatchStore, Execution, Page } from '../../store.ts';
import { refusalOf } from '../../transactions/retries.ts';
import { type Context, read } from '../tables/context.ts';
import { prepareBatches } from './batch-statements.ts';

const NEWEST = Number.MAX_SAFE_INTEGER;

/** The tables of batches. Its methods run inside a write. */
class BatchTable {
  readonly #statements: ReturnType<typeof prepareBatches>;
  readonly #tx: Context['tx'];

  constructor({ db, tx }: Pick<Context, 'db' | 'tx'>) {
    this.#statements = prepareBatches(db);
    this.#tx = tx;
  }

  found(batchId: string): Batch | undefined {
    const row = this.#statements.find.get(batchId);
    return row && toBatch(row);
  }

  create(p: Parameters<BatchStore['createBatch']>[0]): Awaited<ReturnType<BatchStore['createBatch']>> {
    const refusal = refusalOf(this.#tx, p);
    if (refusal !== undefined) return refusal;
    const { batchId, machineIds, sealedRequest, maxConcurrency, maxFailures = null, createdBy } = p.batch;
    const keys = machineIds.map((machineId) => this.#statements.machine.get(machineId));
    const missing = machineIds.filter((_, position) => keys[position] === undefined);
    if (missing.length > 0) return { outcome: 'machine_not_found', machineIds: missing };
    const { lastInsertRowid } = this.#statements.insert.run(
      batchId,
      sealedRequest,
      maxConcurrency,
      maxFailures,
      createdBy,
      p.now,
      tallyText({ pending: machineIds.length }),
    );
    keys.forEach((machine, position) => void this.#statements.insertMember.run(lastInsertRowid, position, machine));
    this.#tx.bind(p.idempotency, batchId);
    return { outcome: 'created', batch: this.found(batchId) as Batch };
  }

  cancel(p: Parameters<BatchStore['cancelBatch']>[0]): Awaited<ReturnType<BatchStore['cancelBatch']>> {
    const refusal = refusalOf(this.#tx, p);
    if (refusal !== undefined) return refusal;
    const row = this.#statements.find.get(p.batchId);
    if (row === undefined) return { outcome: 'not_found' };
    this.#tx.bind(p.idempotency, p.batchId);
    if (row.status !== 'running' || row.cancelled === 1) return { outcome: 'stale', batch: toBatch(row) };
    this.#statements.cancel.run(row.id);
    this.#setTally(row, this.#cancelRest(row, p.now));
    return { outcome: 'applied', batch: this.found(p.batchId) as Batch };
  }

  advance({ batchId, among, now }: Parameters<BatchStore['advanceBatch']>[0]): BatchAdvance | undefined {
    const row = this.#statements.step.get(batchId);
    if (row === undefined) return undefined;
    const { id, created_by: createdBy } = row;
    const cancelled = row.cancelled === 1;
    const batch = { batchId, status: row.status as Batch['status'], createdBy };
    if (row.status !== 'running') return { batch, next: [], unfinished: [], cancelled };
    const ended =
      among === undefined
        ? this.#statements.takeIn.all(id)
        : this.#statements.takeInAmong.all(id, JSON.stringify(among));
    const taken = moveMembers(tallyOf(row.tally), 'unfinished', ended);
    const { cancelRest } = nextBatchStep(...progressOf(row, taken));
    const tally = cancelRest && (taken.pending ?? 0) > 0 ? this.#cancelRest(row, now) : taken;
    const step = nextBatchStep(...progressOf(row, tally));
    if (step.end === undefined) this.#setTally(row, tally);
    else this.#statements.end.run(step.end, now, countsText(tally), id);
    const next = step.start === 0 ? [] : this.#statements.next.all(id, step.start);
    return {
      batch: { ...batch, status: step.end ?? 'running' },
      next: next.map((member) => toMember(batchId, member, now)),
      unfinished: among === undefined ? this.#statements.unfinished.all(id) : [],
      cancelled,
      ...(row.sealed_request === null ? {} : { sealedRequest: row.sealed_request }),
    };
  }

  #setTally({ id, tally: before }: BatchRow, tally: Tally): void {
    const text = tallyText(tally);
    if (text !== before) this.#statements.setTally.run(text, id);
  }

  /** Returns the tally afterwards: executions that were made and not recorded count as unfinished. */
  #cancelRest({ id, public_id: batchId }: BatchRow, now: number): Tally {
    for (const position of this.#statements.pending.all(id)) {
      const { apiKeyId, key, digest } = memberKey(batchId, position);
      this.#statements.spend.run(apiKeyId, key, digest, SPENT, now + MEMBER_KEY_MS);
      this.#statements.note.run(apiKeyId, key, id, position);
    }
    this.#statements.cancelRest.run(id);
    return tallyOf(this.#statements.count.get(id) ?? null);
  }

  list({ createdBy, limit, after = NEWEST }: Parameters<BatchStore['listBatches']>[0]): Page<Batch> {
    const rows =
      createdBy === undefined
        ? this.#statements.list.all(after, limit + 1)
        : this.#statements.listOf.all(createdBy, after, limit + 1);
    return toPage(rows, limit, (row) => row.id, toBatch);
  }

  executions({ batchId, limit, after = -1 }: Parameters<BatchStore['listBatchExecutions']>[0]): Page<Execution> {
    const rows = this.#statements.executions.all(this.#keyOf(batchId), after, limit + 1);
    return toPage(rows, limit, (row) => row.position, toExecution);
  }

  running(): string[] {
    return this.#statements.running.all();
  }

  setMember({ batchId, position, result }: Parameters<BatchStore['setBatchMember']>[0]): void {
    const row = this.#statements.step.get(batchId);
    if (row === undefined) return;
    const { changes } =
      'executionId' in result
        ? this.#statements.setExecution.run(result.executionId, row.id, position)
        : this.#statements.setOutcome.run(result.outcome, row.id, position);
    if (changes === 0) return;
    const state = 'executionId' in result ? 'unfinished' : result.outcome;
    this.#setTally(row, moveMembers(tallyOf(row.tally), 'pending', [state]));
  }

  deleteEnded({ before, limit }: Parameters<BatchStore['deleteEndedBatches']>[0]): number {
    let left = limit;
    while (left > 0) {
      const row = this.#statements.ended.get(before);
      if (row === undefined) break;
      if (row.counts === null) this.#statements.setCounts.run(countsText(tallyOf(row.tally)), row.id);
      left -= this.#statements.deleteMembers.run({ id: row.id, limit: left }).changes;
      if (left > 0) left -= this.#statements.delete.run(row.id).changes;
    }
    return limit - left;
  }

  #keyOf(batchId: string): number {
    return this.#statements.key.get(batchId) ?? 0;
  }
}

/** The BatchStore of SQLite. */
export function batchMethods(context: Context): BatchStore {
  const { write } = context;
  const table = new BatchTable(context);
  return {
    createBatch: (p) => write(() => table.create(p), p.batch.sealedRequest.length),
    getBatch: ({ batchId }) => read(() => table.found(batchId)),
    listBatches: (p) => read(() => table.list(p)),
    listBatchExecutions: (p) => read(() => table.executions(p)),
    cancelBatch: (p) => write(() => table.cancel(p)),
    listRunningBatches: () => read(() => table.running()),
    advanceBatch: (p) => write(() => table.advance(p)),
    setBatchMember: (p) => write(() => table.setMember(p)),
    deleteEndedBatches: (p) => write(() => table.deleteEnded(p)),
  };
}
