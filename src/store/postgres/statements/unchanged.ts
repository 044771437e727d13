/**
 * Statements on rows that were not read again: they fail if one of the rows has changed. `version` is the id of the transaction that wrote a
 * row last, which PostgreSQL keeps in its system column xmin.
 */

import type { Statement } from '../connections/statement-group.ts';
import { bulk, type Columns, type RowsStatement, rowsStatement } from './bulk.ts';

/** Bits of a transaction id that a row keeps. */
const XMIN_BITS = 0xffff_ffffn;

/** Returns the version of the rows that a transaction has written. */
export function versionOf(transactionId: bigint): string {
  return String(transactionId & XMIN_BITS);
}

/** SQL that divides by zero unless the statement `changed` has this number of rows: an error ends the transaction, and its COMMIT is skipped. */
const exactly = (changed: string, count: string): string =>
  `SELECT 1 / (count(*) = ${count})::int AS exactly FROM ${changed}`;

/** Returns a statement that updates unchanged rows of a table. The first column is the key, and the version is added as the last one. */
export function updateUnchanged(p: { name: string; table: string; columns: Columns; set: string }): RowsStatement {
  const [key = ''] = Object.keys(p.columns);
  return rowsStatement(
    p.name,
    { ...p.columns, version: 'xid' },
    (rows, count) => `WITH changed AS (UPDATE ${p.table} t SET ${p.set} FROM ${rows}
      WHERE t.${key} = u.${key} AND t.xmin = u.version RETURNING 1) ${exactly('changed', count)}`,
    { isCounted: true },
  );
}

/** Returns the statements that lock rows of a table, given by key and version, and fail if one of them has changed. */
export function lockUnchanged(table: string, of: readonly unknown[][]): Statement[] {
  const locked = `SELECT FROM ${table} t JOIN unnest($1::bigint[], $2::xid[]) AS u (id, version)
    ON t.id = u.id AND t.xmin = u.version ORDER BY t.id FOR NO KEY UPDATE OF t`;
  return bulk(`unchanged-${table}`, exactly(`(${locked}) AS locked`, 'cardinality($1::bigint[])'), of);
}
