/** All machines, searched as the user types. */
import { useQuery } from '@tanstack/react-query';
import { useMemo, useRef } from 'react';
import { Link, useSearchParams } from 'wouter';
import { type Machine, machinesQuery } from '../data/machines.ts';
import { useMay } from '../data/session.ts';
import { HeadRow } from '../lists/head-row.tsx';
import { Age } from '../parts/age.tsx';
import { Empty, Loading } from '../parts/empty.tsx';
import { Labels, labelTexts } from '../parts/labels.tsx';
import { ErrorNotice } from '../parts/notice.tsx';
import { MachineStatus, machineStatusText } from '../parts/status.tsx';
import { VirtualTable } from '../lists/virtual-table.tsx';
import { useFocusOnSlash } from '../shell/shortcuts.ts';
import { useRowKeys } from '../shell/use-row-keys.ts';

export function MachinesPage() {
  const machines = useQuery(machinesQuery);
  const mayAdd = useMay('admin');
  const [parameters, setParameters] = useSearchParams();
  const searched = parameters.get('q') ?? '';
  const field = useRef<HTMLInputElement>(null);
  useFocusOnSlash(field);
  const shown = useMemo(() => found(machines.data ?? [], searched), [machines.data, searched]);
  const chosen = useRowKeys(useMemo(() => shown.map(pathOf), [shown]));
  return (
    <>
      <div className="page-head">
        <h1>Machines</h1>
        {mayAdd && (
          <Link href="/machines/add" className="button primary">
            Add a machine
          </Link>
        )}
      </div>
      {machines.error !== null && <ErrorNotice error={machines.error} />}
      <section className="panel" aria-label="Machines">
        <header>
          <input
            ref={field}
            type="search"
            className="search"
            placeholder="Name, state, label, version"
            aria-label="Search machines"
            value={searched}
            onChange={({ target }) => setParameters(target.value === '' ? {} : { q: target.value }, { replace: true })}
          />
          <span className="soft small" role="status">
            {counted(shown.length, machines.data?.length)}
          </span>
        </header>
        {machines.isPending && <Loading />}
        {machines.data?.length === 0 && (
          <Empty
            title="No machine yet"
            action={
              mayAdd && (
                <Link href="/machines/add" className="button">
                  Add a machine
                </Link>
              )
            }
          >
            A machine appears here when its agent has joined. The agent connects to this server, so the machine needs no
            open port.
          </Empty>
        )}
        {machines.data !== undefined && machines.data.length > 0 && shown.length === 0 && (
          <Empty title="No machine matches">
            The search covers name, state, labels, host and agent version. Nothing contains “{searched}”.
          </Empty>
        )}
        {shown.length > 0 && <MachineTable machines={shown} chosen={chosen} />}
      </section>
    </>
  );
}

function MachineTable({ machines, chosen }: { machines: readonly Machine[]; chosen: number }) {
  return (
    <VirtualTable
      label="Machines"
      columns={6}
      count={machines.length}
      chosen={chosen}
      head={
        <HeadRow
          columns={[
            ['Machine'],
            ['State', 'col-status'],
            ['Last seen', 'col-age'],
            ['Labels', 'optional'],
            ['Processors', 'col-short optional'],
            ['Memory', 'col-short optional'],
          ]}
        />
      }
      row={(index) => {
        const machine = machines[index];
        if (machine === undefined) return null;
        return (
          <tr key={machine.machine_id} className={index === chosen ? 'chosen' : ''} aria-rowindex={index + 2}>
            <td title={[machine.machine_id, machine.name ?? machine.facts?.hostname].join(' ')}>
              <Link href={pathOf(machine)}>{machine.machine_id}</Link>{' '}
              <span className="soft small">{machine.name ?? machine.facts?.hostname}</span>
            </td>
            <td>
              <MachineStatus machine={machine} />
            </td>
            <td>
              <LastSeen machine={machine} />
            </td>
            <td className="optional" title={labelTexts(machine.labels).join(', ')}>
              <Labels labels={machine.labels ?? {}} />
            </td>
            <td className="optional">{machine.vcpu || ''}</td>
            <td className="optional">
              {machine.memory_mib > 0 ? `${(machine.memory_mib / 1024).toFixed(1)} GiB` : ''}
            </td>
          </tr>
        );
      }}
    />
  );
}

function LastSeen({ machine: { status } }: { machine: Machine }) {
  if (status.reason === 'never_joined') return 'never';
  return status.phase === 'running' ? 'now' : <Age at={status.last_progress_at} />;
}

function pathOf({ machine_id: id }: Machine): string {
  return `/machines/${id}`;
}

/** Every word of the search must occur in the facts of a machine. */
function found(machines: readonly Machine[], searched: string): readonly Machine[] {
  const words = searched.toLowerCase().split(/\s+/).filter(Boolean);
  if (words.length === 0) return machines;
  return machines.filter((machine) => {
    const text = searchText(machine);
    return words.every((word) => text.includes(word));
  });
}

function searchText(machine: Machine): string {
  const { machine_id: id, name = '', labels, facts } = machine;
  const agent = facts === undefined ? [] : [facts.hostname, facts.os, facts.arch, facts.agent_version];
  return [id, name, machineStatusText(machine), ...labelTexts(labels), ...agent].join(' ').toLowerCase();
}

function counted(shown: number, all: number | undefined): string {
  if (all === undefined) return '';
  return shown === all ? `${all.toLocaleString()} in all` : `${shown.toLocaleString()} of ${all.toLocaleString()}`;
}
