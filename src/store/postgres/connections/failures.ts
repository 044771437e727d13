/** Classifies failures: an unavailable database, and faults of this program. */
import { StoreUnavailableError } from '../../store.ts';

/** SQLSTATE classes and codes (postgresql.org/docs/current/errcodes-appendix.html) after which trying again can help. */
const TEMPORARY =
  /^(08|53|57P|58|XX|25006$|25P03$|40001$|40P01$|55P03$|57014$|28|3D000$|E[A-Z]+$|SELF_SIGNED|DEPTH_ZERO|UNABLE_TO|CERT_|ERR_)/;
const READ_ONLY = '25006';
/** Messages of pg without a code: the connection is lost, or did not answer. */
const CONNECTION = /connection|timeout|terminated|not queryable/i;
/**
 * Codes for transactions that waited for each other or cannot be serialised, and (division by zero) that wrote rows that have changed since
 * they were read (statements/unchanged.ts): a repetition succeeds.
 */
const CONFLICT = /^(40001|40P01|22012)$/;

/** Indexes of machines, one of which another transaction has made or enrolled meanwhile. */
const RACED = new Set(['machines_public_id_key', 'machines_by_credential']);

/** Returns `error` for callers of the store: StoreUnavailableError if trying again can help, else the error itself. */
export function asStoreError(error: unknown): unknown {
  if (!(error instanceof Error) || error instanceof StoreUnavailableError) return error;
  const code = codeOf(error);
  if (constraintOf(error) === 'machines_owner_fkey') {
    return new StoreUnavailableError('this server was declared dead and registers again', { cause: error });
  }
  const temporary = code === undefined ? CONNECTION.test(error.message) : TEMPORARY.test(code);
  if (!temporary) return error;
  return new StoreUnavailableError(`the database is unavailable (${code ?? error.message})`, { cause: error });
}

/** Whether the transaction failed because of another one. It has to be run again, and then finds the changes of the other. */
export function isConflict(error: unknown): boolean {
  return CONFLICT.test(codeOf(error) ?? '') || RACED.has(constraintOf(error) ?? '');
}

/** Whether the database accepts no writes on this connection. A new connection may reach a primary. */
export function isReadOnly(error: unknown): boolean {
  return codeOf(error) === READ_ONLY;
}

/** Whether the database reported that the statement failed. Then nothing of the transaction was committed. */
export function isAnswer(error: unknown): boolean {
  const reported = reportedBy(error);
  return /^[0-9A-Z]{5}$/.test(codeOf(reported) ?? '') && reported !== undefined && 'severity' in reported;
}

function constraintOf(error: unknown): string | undefined {
  const reported = reportedBy(error);
  if (reported === undefined || !('constraint' in reported)) return undefined;
  return typeof reported.constraint === 'string' ? reported.constraint : undefined;
}

/** Returns the SQLSTATE of an error of the database, or the code of a system error. Undefined if the error has neither. */
export function codeOf(error: unknown): string | undefined {
  const reported = reportedBy(error);
  return reported !== undefined && 'code' in reported && typeof reported.code === 'string' ? reported.code : undefined;
}

/** Returns the error of the database or the system, which asStoreError may have wrapped. */
function reportedBy(error: unknown): Error | undefined {
  const reported = error instanceof StoreUnavailableError ? error.cause : error;
  return reported instanceof Error ? reported : undefined;
}
