/** The audit log: appended to, read newest first. */
import { boundedCommand } from '../audit-command.ts';
import { type AuditRow, toEntry } from '../rows/audit-row.ts';
import type { AuditStore } from '../store.ts';
import { toPage } from '../rows/page.ts';
import { type Context, read } from './tables/context.ts';

/** The audit trail. */
export function auditMethods({ db, write }: Context): AuditStore {
  const insert = db.prepare(
    `INSERT INTO audit (at, actor, source, action, machine_public_id, resource, command, command_digest, outcome)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  );
  const list = db.prepare<[number, number], AuditRow>('SELECT * FROM audit WHERE id < ? ORDER BY id DESC LIMIT ?');
  const ofMachine = db
    .prepare<[string, number, number], number>(
      'SELECT id FROM audit WHERE machine_public_id = ? AND id < ? ORDER BY id DESC LIMIT ?',
    )
    .pluck();
  const one = db.prepare<[number], AuditRow>('SELECT * FROM audit WHERE id = ?');

  /** The newest entries of each machine, merged: at most a page is read of any machine, each entry in its turn. */
  function* listSome(machineIds: readonly string[], after: number, count: number): Generator<AuditRow> {
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
        return toPage(rows, limit, (row) => row.id, toEntry);
      }),
  };
}
