/** The audit trail: actions with their actor, time and address. */
import { useInfiniteQuery } from '@tanstack/react-query';
import { useRef } from 'react';
import { Link, useSearchParams } from 'wouter';
import type { AuditEntryWire } from '../../../api/admin.ts';
import { itemsOf, listQuery } from '../../data/lists.ts';
import { HeadRow } from '../../lists/head-row.tsx';
import { Age } from '../../parts/age.tsx';
import { commandText } from '../../data/command.ts';
import { Empty } from '../../parts/empty.tsx';
import { ListContents } from '../../lists/list-contents.tsx';
import { ErrorNotice } from '../../parts/notice.tsx';
import { useFocusOnSlash } from '../../shell/shortcuts.ts';
import { AUDIT_ENTRY } from '../../../client/http/shapes.ts';

/** Texts of actions. Other actions are shown as in the API. */
const ACTIONS: Readonly<Record<string, string>> = {
  'artifact.delete': 'Artifact deleted',
  'batch.cancel': 'Batch cancelled',
  'batch.create': 'Batch started',
  'api_key.create': 'Key made',
  'api_key.revoke': 'Key revoked',
  'auth.refuse': 'Refused',
  'console.sign_in': 'Signed in',
  'console.sign_out': 'Signed out',
  'execution.cancel': 'Cancelled',
  'execution.create': 'Command run',
  'execution.signal': 'Signal sent',
  'join_token.create': 'Token made',
  'join_token.revoke': 'Token revoked',
  'machine.create': 'Machine created',
  'machine.enrol': 'Machine joined',
  'machine.remove': 'Machine removed',
  'machine.rotate': 'Credential rotated',
  'machine.sleep': 'Put to sleep',
  'machine.update': 'Machine changed',
  'machine.wake': 'Woken',
  'schedule.create': 'Schedule created',
  'schedule.delete': 'Schedule deleted',
  'schedule.run': 'Schedule run',
  'schedule.update': 'Schedule changed',
  'terminal.attach': 'Terminal attached',
  'terminal.detach': 'Terminal detached',
  'terminal.close': 'Terminal closed',
  'terminal.create': 'Terminal opened',
};

export function AuditPage() {
  const [parameters, setParameters] = useSearchParams();
  const searched = parameters.get('q') ?? '';
  const audit = useInfiniteQuery(listQuery('/v1/audit', AUDIT_ENTRY));
  const field = useRef<HTMLInputElement>(null);
  useFocusOnSlash(field);
  const entries = itemsOf(audit.data).filter((entry) => textOf(entry).includes(searched.toLowerCase()));
  return (
    <>
      <div className="page-head">
        <h1>Audit</h1>
      </div>
      {audit.error !== null && <ErrorNotice error={audit.error} />}
      <section className="panel" aria-label="Audit trail">
        <header>
          <input
            ref={field}
            type="search"
            className="search"
            placeholder="Search loaded entries"
            aria-label="Search the audit trail"
            value={searched}
            onChange={({ target }) => setParameters(target.value === '' ? {} : { q: target.value }, { replace: true })}
          />
        </header>
        <ListContents
          list={audit}
          count={entries.length}
          empty={<Empty title="No entry matches">Load older entries with the button below, if there are any.</Empty>}
        >
          <AuditTable entries={entries} />
        </ListContents>
      </section>
    </>
  );
}

function AuditTable({ entries }: { entries: readonly AuditEntryWire[] }) {
  return (
    <table className="table" aria-label="Audit trail">
      <thead>
        <HeadRow
          columns={[
            ['When', 'col-age'],
            ['What'],
            ['Who'],
            ['Of what', 'optional'],
            ['Outcome', 'col-short optional'],
            ['From', 'col-age optional'],
          ]}
        />
      </thead>
      <tbody>
        {entries.map((entry) => (
          <tr key={entry.audit_id}>
            <td>
              <Age at={entry.at} />
            </td>
            <td title={entry.action}>{ACTIONS[entry.action] ?? entry.action}</td>
            <td title={entry.actor}>{entry.actor}</td>
            <td className="optional">
              <Subject entry={entry} />
            </td>
            <td className="optional" title={entry.outcome}>
              {entry.outcome}
            </td>
            <td className="optional">{entry.source}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function Subject({ entry: { machine_id: machineId, resource, command, action } }: { entry: AuditEntryWire }) {
  if (machineId === undefined) return resource;
  if (resource !== undefined && action.startsWith('execution.')) {
    return (
      <Link
        href={`/machines/${machineId}/executions/${resource}`}
        className="mono"
        title={command && commandText(command)}
      >
        {command === undefined ? resource : commandText(command)}
      </Link>
    );
  }
  return <Link href={`/machines/${machineId}`}>{machineId}</Link>;
}

function textOf({ at: _, ...rest }: AuditEntryWire): string {
  return `${ACTIONS[rest.action] ?? ''} ${JSON.stringify(rest)}`.toLowerCase();
}
