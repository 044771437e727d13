/** The audit log: appended to, read newest first. */
import { boundedCommand } from '../audit-command.ts';
import { type AuditRow, toEntry } from '../rows/audit-row.ts';
import type { AuditStore } from '../store.ts';
import { toPage } from '../rows/page.ts';
import { type Context, read } from './tables/context.ts';

/** The audit trail. */
export function auditMethods({ db, write }: Context): Pick<AuditStore, 'appendAudit' | 'listAudit'> {
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
  const findEntry = db.prepare<[number], AuditRow>('SELECT * FROM audit WHERE id = ?');

  /** Merges the newest entries of each machine. At most a page of keys is read for any machine, and entries one by one. */
  function* listSome(machineIds: readonly string[], after: number, count: number): Generator<AuditRow> {
    const numbers = [...new Set(machineIds)].flatMap((machineId) => ofMachine.all(machineId, after, count));
    for (const number of numbers.sort((a, b) => b - a)) {
      const row = findEntry.get(number);
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
    appendAudit: ({ entry, withinMs = 0 }) => write(() => append(entry), 0, withinMs),
    listAudit: ({ machineIds, limit, after = Number.MAX_SAFE_INTEGER }) =>
      read(() => {
        const rows = machineIds === undefined ? list.iterate(after, limit + 1) : listSome(machineIds, after, limit + 1);
        return toPage(rows, limit, (row) => row.id, toEntry);
      }),
  };
}

type ArchiveStore = Pick<AuditStore, 'exportAudit' | 'noteAuditExported' | 'releaseAudit' | 'deleteAudit'>;

/** Exports the audit trail, and deletes entries that may be deleted. */
export function auditArchiveMethods({ db, write }: Context): ArchiveStore {
  const oldest = db.prepare<[number, number], AuditRow>('SELECT * FROM audit WHERE id > ? ORDER BY id LIMIT ?');
  const oldestOfMachine = db
    .prepare<[string, number, number], number>(
      'SELECT id FROM audit WHERE machine_public_id = ? AND id > ? ORDER BY id LIMIT ?',
    )
    .pluck();
  const noteExported = db.prepare('UPDATE audit_retention SET exported_through = max(exported_through, ?)');
  const release = db.prepare(
    'UPDATE audit_retention SET released_through = max(released_through, @through) WHERE exported_through >= @through',
  );
  const deletableBefore = db.prepare(
    'UPDATE audit_retention SET deletable_before = @before WHERE deletable_before IS NOT @before',
  );
  const due = db
    .prepare<{ before: number }, number>(
      `SELECT id <= (SELECT released_through FROM audit_retention) OR at < @before FROM audit
       WHERE id < (SELECT max(id) FROM audit) ORDER BY id LIMIT 1`,
    )
    .pluck();
  const deleteOld = db.prepare(
    `DELETE FROM audit WHERE id IN (
       SELECT id FROM (SELECT id, at FROM audit WHERE id < (SELECT max(id) FROM audit) ORDER BY id LIMIT @limit)
       WHERE id <= (SELECT released_through FROM audit_retention) OR at < @before)`,
  );
  const findEntry = db.prepare<[number], AuditRow>('SELECT * FROM audit WHERE id = ?');

  function exported(machineIds: readonly string[] | undefined, after: number, limit: number): AuditRow[] {
    if (machineIds === undefined) return oldest.all(after, limit);
    const numbers = [...new Set(machineIds)].flatMap((machineId) => oldestOfMachine.all(machineId, after, limit));
    const first = numbers.sort((a, b) => a - b).slice(0, limit);
    return first.flatMap((number) => findEntry.get(number) ?? []);
  }

  return {
    exportAudit: ({ machineIds, after, limit }) => read(() => exported(machineIds, after, limit).map(toEntry)),
    noteAuditExported: ({ through }) => write(() => void noteExported.run(through)),
    releaseAudit: (p) => write(() => (release.run(p).changes > 0 ? 'released' : 'not_exported')),
    deleteAudit: async ({ before, limit }) => {
      // Most rounds find nothing, and write nothing.
      if (!(await read(() => due.get({ before })))) return 0;
      return write(() => {
        deletableBefore.run({ before });
        return deleteOld.run({ before, limit }).changes;
      });
    },
  };
}
