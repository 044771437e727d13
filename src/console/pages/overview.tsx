/** How the fleet is: machines, what runs and waits, what needs a look. */
import { useInfiniteQuery, useQuery } from '@tanstack/react-query';
import { Link } from 'wouter';
import type { Execution } from '../data/executions.ts';
import { itemsOf, listQuery } from '../data/lists.ts';
import { type Machine, machinesQuery } from '../data/machines.ts';
import { useMay } from '../data/session.ts';
import { Age } from '../parts/age.tsx';
import { Empty, Loading, Unavailable } from '../parts/empty.tsx';
import { ExecutionTable } from '../parts/execution-table.tsx';
import { ErrorNotice } from '../parts/notice.tsx';
import { MachineStatus, machineStatusText } from '../parts/status.tsx';

const RECENT = 10;

export function OverviewPage() {
  const machines = useQuery(machinesQuery);
  if (machines.data === undefined) {
    return <Unavailable title="Overview" error={machines.error} />;
  }
  return (
    <>
      <div className="page-head">
        <h1>Overview</h1>
      </div>
      {machines.error !== null && <ErrorNotice error={machines.error} />}
      <Counts machines={machines.data} />
      <NeedsALook machines={machines.data} />
      <Recent />
    </>
  );
}

function Counts({ machines }: { machines: readonly Machine[] }) {
  const by = (text: string) => machines.filter((machine) => machineStatusText(machine) === text).length;
  const counts = ['Online', 'Offline', 'Asleep'].map((text) => ({ text, count: by(text) }));
  return (
    <div className="columns">
      {counts.map(({ text, count }) => (
        <Link key={text} href={`/machines?q=${text.toLowerCase()}`} className="panel count">
          <span className="row">{text}</span>
          <strong>{count.toLocaleString()}</strong>
        </Link>
      ))}
    </div>
  );
}

const MAX_SHOWN = 8;

function NeedsALook({ machines }: { machines: readonly Machine[] }) {
  const away = machines.filter(({ status }) => status.reason === 'agent_away' || status.phase === 'failed');
  if (away.length === 0) return null;
  return (
    <section className="panel" aria-label="Needs a look">
      <header>
        <h2>Needs a look</h2>
      </header>
      <table className="table" aria-label="Machines that need a look">
        <tbody>
          {away.slice(0, MAX_SHOWN).map((machine) => (
            <tr key={machine.machine_id}>
              <td>
                <Link href={`/machines/${machine.machine_id}`}>{machine.machine_id}</Link>
              </td>
              <td>
                <MachineStatus machine={machine} />
              </td>
              <td>
                last heard of <Age at={machine.status.last_progress_at} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

function Recent() {
  const mayRead = useMay('executions:read');
  const list = useInfiniteQuery({ ...listQuery<Execution>('/v1/executions', { limit: RECENT }), enabled: mayRead });
  const executions = itemsOf(list.data).slice(0, RECENT);
  if (!mayRead) return null;
  return (
    <section className="panel" aria-label="Latest executions">
      <header>
        <h2>Latest executions</h2>
        <Link href="/executions">All of them</Link>
      </header>
      {list.error !== null && <ErrorNotice error={list.error} />}
      {list.isPending && <Loading />}
      {list.isSuccess && executions.length === 0 && <Empty title="Nothing has run yet" />}
      {executions.length > 0 && <ExecutionTable executions={executions} withMachine />}
    </section>
  );
}
