/** The audit log: appended to, read newest first. */
import { boundedCommand } from '../audit-command.ts';
import type { AuditEntry, AuditStore } from '../store.ts';
import { type Context, read, toPage } from './context.ts';

interface Row {
  audit: number;
  at: number;
  actor: string;
  source: string;
  action: string;
  machine_id: string | null;
  resource: string | null;
  command: string | null;
  command_digest: string | null;
  outcome: string;
}

/** Who did what. */
export function auditMethods({ db, write }: Context): AuditStore {
  const insert = db.prepare(
    `INSERT INTO audit (at, actor, source, action, machine_id, resource, command, command_digest, outcome)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  );
  const list = db.prepare<[number, number], Row>('SELECT * FROM audit WHERE audit < ? ORDER BY audit DESC LIMIT ?');
  const ofMachine = db
    .prepare<[string, number, number], number>(
      'SELECT audit FROM audit WHERE machine_id = ? AND audit < ? ORDER BY audit DESC LIMIT ?',
    )
    .pluck();
  const one = db.prepare<[number], Row>('SELECT * FROM audit WHERE audit = ?');

  /** The newest of each machine, merged: no more than a page is looked at of any, and each is read when it is its turn. */
  function* listSome(machineIds: readonly string[], after: number, count: number): Generator<Row> {
    const numbers = [...new Set(machineIds)].flatMap((machineId) => ofMachine.all(machineId, after, count));
    for (const number of numbers.sort((a, b) => b - a)) {
      const row = one.get(number);
      if (row !== undefined) yield row;
    }
  }

  const append = (entry: Parameters<AuditStore['appendAudit']>[0]['entry']): void => {
    const argv = entry.command && boundedCommand(entry.command);
    insert.run(
      entry.at,
      entry.actor,
      entry.source,
      entry.action,
      entry.machineId ?? null,
      entry.resource ?? null,
      argv === undefined ? null : JSON.stringify(argv.command),
      argv?.digest ?? null,
      entry.outcome,
    );
  };

  return {
    appendAudit: ({ entry, withinMs }) => write(() => append(entry), 0, withinMs),
    listAudit: ({ machineIds, limit, after = Number.MAX_SAFE_INTEGER }) =>
      read(() => {
        const rows = machineIds === undefined ? list.iterate(after, limit + 1) : listSome(machineIds, after, limit + 1);
        return toPage(rows, limit, (row) => row.audit, toEntry);
      }),
  };
}

function toEntry(row: Row): AuditEntry {
  return {
    auditId: row.audit,
    at: row.at,
    actor: row.actor,
    source: row.source,
    action: row.action,
    ...(row.machine_id === null ? {} : { machineId: row.machine_id }),
    ...(row.resource === null ? {} : { resource: row.resource }),
    ...(row.command === null ? {} : { command: JSON.parse(row.command) as string[] }),
    ...(row.command_digest === null ? {} : { commandDigest: row.command_digest }),
    outcome: row.outcome,
  };
}
