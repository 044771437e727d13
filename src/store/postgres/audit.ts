/** The audit log: appended to, read newest first. */
import { boundedCommand } from '../audit-command.ts';
import { type AuditRow, toEntry } from '../rows/audit-row.ts';
import { toPage } from '../rows/page.ts';
import type { AuditStore } from '../store.ts';
import type { Context } from './context.ts';

type Entry = Parameters<AuditStore['appendAudit']>[0]['entry'];

const SELECT = `SELECT id, at, actor, source, action, machine_public_id, resource, command, command_digest,
  outcome FROM audit`;
const INSERT = `INSERT INTO audit (at, actor, source, action, machine_public_id, resource, command, command_digest, outcome)
  SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
    $9::text[])`;
const NOTE_EXPORTED = `INSERT INTO audit_retention AS r (only_row, exported_through) VALUES (1, $1)
  ON CONFLICT (only_row) DO UPDATE SET exported_through = greatest(r.exported_through, excluded.exported_through)`;
const NOTE_DELETABLE = `INSERT INTO audit_retention AS r (only_row, deletable_before) VALUES (1, $1)
  ON CONFLICT (only_row) DO UPDATE SET deletable_before = excluded.deletable_before
  WHERE r.deletable_before <> excluded.deletable_before`;
const DELETE = `DELETE FROM audit WHERE id IN (
    SELECT id FROM (SELECT id, at FROM audit WHERE id < (SELECT max(id) FROM audit) ORDER BY id LIMIT $2) oldest
    WHERE id <= (SELECT released_through FROM audit_retention) OR at < $1)
  RETURNING 1`;

/** Selects the writer of audit entries, in place of a machine's id: entries belong to no machine. */
const AUDIT_WRITER = 'audit';

/** The AuditStore of PostgreSQL. Entries are collected for as long as their callers allow, and share a transaction with other writes. */
export function auditMethods({ read, writers, transactions }: Context): AuditStore & { drain(): Promise<void> } {
  let gathering: { entries: Entry[]; written: Promise<void>; flush: () => void } | undefined;

  function gather(withinMs: number): { entries: Entry[]; written: Promise<void> } {
    const due = Promise.withResolvers<void>();
    const timer = setTimeout(due.resolve, withinMs);
    const flush = (): void => {
      clearTimeout(timer);
      due.resolve();
    };
    const entries: Entry[] = [];
    const written = due.promise.then(() => {
      gathering = undefined;
      const statements = [{ name: 'append-audit', text: INSERT, values: columnsOf(entries) }];
      // It needs no rows, so the writes that share its transaction need not read theirs for it.
      return writers.write(AUDIT_WRITER, { needs: { reuses: true }, statements, run: () => undefined });
    });
    gathering = { entries, written, flush };
    return gathering;
  }

  return {
    appendAudit({ entry, withinMs = 0 }) {
      const { entries, written } = gathering ?? gather(withinMs);
      entries.push(entry);
      if (withinMs === 0) gathering?.flush();
      return written;
    },
    async listAudit({ machineIds, limit, after = Number.MAX_SAFE_INTEGER }) {
      const some = machineIds === undefined ? '' : 'AND machine_public_id = ANY($3)';
      const text = `${SELECT} WHERE id < $1 ${some} ORDER BY id DESC LIMIT $2`;
      const values = [after, limit + 1, ...(machineIds === undefined ? [] : [machineIds])];
      return toPage(await read<AuditRow>({ text, values }), limit, (row) => row.id, toEntry);
    },
    async exportAudit({ machineIds, after, limit }) {
      const some = machineIds === undefined ? '' : 'AND machine_public_id = ANY($3)';
      const text = `${SELECT} WHERE id > $1 ${some} ORDER BY id LIMIT $2`;
      const values = [after, limit, ...(machineIds === undefined ? [] : [machineIds])];
      return (await read<AuditRow>({ text, values })).map(toEntry);
    },
    noteAuditExported: ({ through }) =>
      transactions.run(async (connection) => {
        await connection.run({ text: NOTE_EXPORTED, values: [through] });
      }),
    releaseAudit: ({ through }) =>
      transactions.run(async (connection) => {
        const text = `UPDATE audit_retention SET released_through = greatest(released_through, $1)
          WHERE exported_through >= $1 RETURNING 1`;
        const released = await connection.query({ text, values: [through] });
        return released.length > 0 ? 'released' : 'not_exported';
      }),
    deleteAudit: ({ before, limit }) =>
      transactions.run(async (connection) => {
        await connection.run({ text: NOTE_DELETABLE, values: [before] });
        const deleted = await connection.query({ text: DELETE, values: [before, limit] });
        return deleted.length;
      }),
    async drain() {
      gathering?.flush();
      await gathering?.written.catch(() => undefined);
    },
  };
}

function columnsOf(entries: readonly Entry[]): unknown[] {
  const argvs = entries.map(({ command }) => command && boundedCommand(command));
  return [
    entries.map(({ at }) => at),
    entries.map(({ actor }) => actor),
    entries.map(({ source }) => source),
    entries.map(({ action }) => action),
    entries.map(({ machineId }) => machineId ?? null),
    entries.map(({ resource }) => resource ?? null),
    argvs.map((argv) => (argv === undefined ? null : JSON.stringify(argv.command))),
    argvs.map((argv) => argv?.digest ?? null),
    entries.map(({ outcome }) => outcome),
  ];
}
