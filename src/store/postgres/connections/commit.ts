/** Runs transactions and finds out their outcome: if the answer to COMMIT is lost, the outcome is looked up. */
import { setTimeout as sleep } from 'node:timers/promises';
import { StoreUnavailableError } from '../../store.ts';
import { type BegunTransaction, begin } from './begun.ts';
import { type Connection, connect } from './connection.ts';
import { asStoreError, codeOf, isAnswer, isConflict, isReadOnly } from './failures.ts';
import type { ConnectionSlot } from './slots.ts';
import type { Statement } from './statement-group.ts';
import type { DatabaseAddress } from './url.ts';

/** Maximum number of attempts for a transaction that failed because of another one, or that was lost without having been committed. */
const MAX_ATTEMPTS = 8;
/** Time for which the outcome of a COMMIT is looked up, and the interval of the lookups, ms. After it the outcome is unknown. */
const SETTLE_TIMEOUT_MS = 15_000;
const SETTLE_INTERVAL_MS = 100;
const INVALID_PARAMETER_VALUE = '22023';
/** Time after which the transaction's process is ended, ms: it may hang on a socket that nobody reads. */
const TERMINATE_AFTER_MS = 1000;

/** `last`: statements that are sent together with COMMIT. */
export interface Done<T> {
  result: T;
  last?: readonly Statement[];
  /** The transaction may be lost in a crash of the database although it counts as committed. It leaves no receipt. */
  disposable?: true;
  /** Called after the answer to COMMIT. Must not throw. */
  onCommitted?: (transactionId: string) => void;
}
export type Body<T> = (connection: Connection) => Promise<Done<T>>;

/**
 * Runs `body` in a transaction. It may run several times, and must change nothing but the database. Rejects with the error that `body`
 * throws (nothing was written), or with StoreUnavailableError. With `begun`, each transaction begins the next one.
 */
export async function transact<T>(
  slot: ConnectionSlot,
  address: DatabaseAddress,
  body: Body<T>,
  begun?: BegunTransaction,
): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    const outcome = await attemptOnce(slot, { address, body, begun });
    if (outcome.committed) return outcome.result;
    if (attempt === MAX_ATTEMPTS) throw asStoreError(outcome.error);
  }
}

type Attempt<T> = { committed: true; result: T } | { committed: false; error: unknown };

interface Terms<T> {
  address: DatabaseAddress;
  body: Body<T>;
  begun: BegunTransaction | undefined;
}

async function attemptOnce<T>(slot: ConnectionSlot, { address, body, begun }: Terms<T>): Promise<Attempt<T>> {
  const connection = await slot.get();
  const beginning = begun?.take(connection) ?? begin(connection);
  // A failure is reported below. Without this handler it would be an unhandled rejection until then.
  beginning.catch(() => undefined);
  let done: Done<T>;
  let transactionId: string;
  try {
    done = await body(connection);
    transactionId = await beginning;
  } catch (error) {
    await beginning.catch(() => undefined);
    await end(connection, error);
    if (isConflict(error)) return { committed: false, error };
    throw asStoreError(error);
  }
  const receipt = done.disposable ? [] : [receiptOf(slot)];
  const { error, answered } = await commit(connection, [...(done.last ?? []), ...receipt], begun);
  if (error === undefined) {
    done.onCommitted?.(transactionId);
    return { committed: true, result: done.result };
  }
  if (!answered) {
    connection.destroy();
    const { processId } = connection;
    const lost = { transactionId, processId, ...(done.disposable ? {} : { receipt: slot.id }) };
    return (await wasCommitted(address, lost)) ? { committed: true, result: done.result } : { committed: false, error };
  }
  await end(connection, error);
  if (isConflict(error)) return { committed: false, error };
  throw asStoreError(error);
}

/** Commits, and begins the next transaction. Without an error this one is committed. Without an answer its outcome is unknown. */
async function commit(
  connection: Connection,
  last: readonly Statement[],
  begun: BegunTransaction | undefined,
): Promise<{ error?: unknown; answered: boolean }> {
  const sent = [...last, { name: 'commit', text: 'COMMIT' }].map((statement) => connection.run(statement));
  begun?.prepare(connection);
  const answers = await Promise.allSettled(sent);
  const failed = answers.find((answer) => answer.status === 'rejected')?.reason as unknown;
  const committed = answers.at(-1);
  if (committed?.status === 'fulfilled' && committed.value.command === 'COMMIT') {
    begun?.keep();
    return { answered: true };
  }
  begun?.drop();
  // A COMMIT of a failed transaction is answered by ROLLBACK, without an error.
  if (committed?.status === 'fulfilled')
    return { error: failed ?? new Error(`COMMIT was answered by ${committed.value.command}`), answered: true };
  return { error: failed, answered: isAnswer(committed?.reason) };
}

/** Writes a receipt. It distinguishes this transaction from a later one with the same id, after a crash in which this one was lost. */
function receiptOf({ id }: ConnectionSlot): Statement {
  const text = `INSERT INTO commit_receipts (connection, transaction_id) VALUES ($1, pg_current_xact_id())
    ON CONFLICT (connection) DO UPDATE SET transaction_id = EXCLUDED.transaction_id, at = EXCLUDED.at`;
  return { name: 'receipt', text, values: [id] };
}

/** Ends a transaction that failed. Another connection may find a primary. */
async function end(connection: Connection, error: unknown): Promise<void> {
  if (isReadOnly(error)) connection.destroy();
  else await connection.run({ text: 'ROLLBACK' }).catch(() => connection.destroy());
}

/** A transaction whose COMMIT was not answered. `receipt`: the key of its receipt, if it writes one. */
interface Lost {
  transactionId: string;
  processId: number;
  receipt?: string;
}

/** Looks up whether a transaction was committed. Rejects with StoreUnavailableError if that cannot be found out in time. */
async function wasCommitted(address: DatabaseAddress, lost: Lost): Promise<boolean> {
  const startedAt = performance.now();
  let failure: unknown;
  while (performance.now() - startedAt < SETTLE_TIMEOUT_MS) {
    try {
      const status = await statusOf(address, lost, performance.now() - startedAt > TERMINATE_AFTER_MS);
      if (status !== 'in progress') return status === 'committed';
    } catch (error) {
      failure = error;
    }
    await sleep(SETTLE_INTERVAL_MS);
  }
  throw new StoreUnavailableError('a COMMIT was not answered, and it is not known whether it happened', {
    cause: failure,
  });
}

async function statusOf(
  address: DatabaseAddress,
  { transactionId, processId, receipt }: Lost,
  terminate: boolean,
): Promise<string | null> {
  const connection = await connect(address);
  try {
    if (terminate) {
      // Only if the process still runs this transaction: its id may belong to another process by now.
      const text = `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = $1 AND backend_xid::text = ($2::xid8)::xid::text`;
      await connection.query({ text, values: [processId, transactionId] });
    }
    const [row] = await connection.query<{ status: string | null; receipt: boolean }>({
      text: STATUS,
      values: [transactionId, receipt ?? null],
    });
    if (row?.status !== 'committed' || receipt === undefined) return row?.status ?? null;
    return row.receipt ? 'committed' : 'aborted';
  } catch (error) {
    // PostgreSQL reports an id "in the future": after a crash it has not been given out again.
    if (codeOf(error) === INVALID_PARAMETER_VALUE) return 'aborted';
    throw error;
  } finally {
    await connection.close();
  }
}

const STATUS = `SELECT pg_xact_status($1::xid8) AS status,
  EXISTS (SELECT 1 FROM commit_receipts WHERE connection = $2 AND transaction_id = $1::xid8) AS receipt`;
