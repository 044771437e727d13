/** The state of the fleet: machines, running and waiting executions, charts, problems. */
import { useInfiniteQuery, useQuery } from '@tanstack/react-query';
import type { ReactNode } from 'react';
import { Link, useSearchParams } from 'wouter';
import type { ConsoleOverview, Span } from '../../api/console.ts';
import { OverviewCharts } from '../charts/overview-charts.tsx';
import { itemsOf, listQuery } from '../data/lists.ts';
import { type Machine, machinesQuery } from '../data/machines.ts';
import { overviewQuery } from '../data/overview.ts';
import { sessionQuery, useMay, useReachesAll } from '../data/session.ts';
import { Age } from '../parts/age.tsx';
import { Empty, Loading, Unavailable } from '../parts/empty.tsx';
import { ExecutionTable } from '../execution/execution-table.tsx';
import { Segments } from '../parts/field.tsx';
import { ErrorNotice } from '../parts/notice.tsx';
import { MachineStatus, machineStatusText } from '../parts/status.tsx';
import { EXECUTION } from '../../client/http/shapes.ts';

const RECENT = 8;
const MAX_AWAY_SHOWN = 8;
const SPANS: readonly (readonly [Span, string])[] = [
  ['hour', 'Hour'],
  ['day', 'Day'],
  ['week', 'Week'],
];

export function OverviewPage() {
  const machines = useQuery(machinesQuery);
  const reachesAll = useReachesAll();
  const [parameters, setParameters] = useSearchParams();
  const span = SPANS.find(([name]) => name === parameters.get('span'))?.[0] ?? 'hour';
  const overview = useQuery({ ...overviewQuery(span), enabled: reachesAll });
  if (machines.data === undefined) return <Unavailable title="Overview" error={machines.error} />;
  const error = machines.error ?? overview.error;
  return (
    <>
      <div className="page-head">
        <h1>Overview</h1>
        {reachesAll && (
          <Segments
            label="How far back"
            value={span}
            options={SPANS}
            onChange={(next) => setParameters(next === 'hour' ? {} : { span: next }, { replace: true })}
          />
        )}
      </div>
      {error !== null && <ErrorNotice error={error} />}
      <Counts machines={machines.data} overview={overview.data} />
      <NeedsALook machines={machines.data} overview={overview.data} />
      {overview.data !== undefined && <OverviewCharts overview={overview.data} />}
      <Recent />
    </>
  );
}

interface NumbersProps {
  machines: readonly Machine[];
  /** Absent for a key that is limited to some machines, and until it is loaded. */
  overview: ConsoleOverview | undefined;
}

function Counts({ machines, overview }: NumbersProps) {
  const by = (text: string) => machines.filter((machine) => machineStatusText(machine) === text).length;
  const { running = 0, queued = 0, wake_in_progress: waking = 0 } = overview?.executions ?? {};
  return (
    <div className="counts">
      {['Online', 'Offline', 'Asleep'].map((text) => (
        <CountLink key={text} href={`/machines?q=${text.toLowerCase()}`} text={text} count={by(text)} />
      ))}
      {overview !== undefined && (
        <>
          <CountLink href="/executions?status=running" text="Running" count={running} />
          <CountLink
            href={`/executions?status=${waking > 0 ? 'wake_in_progress' : 'queued'}`}
            text="Waiting"
            count={queued + waking}
          />
        </>
      )}
    </div>
  );
}

function CountLink({ href, text, count }: { href: string; text: string; count: number }) {
  return (
    <Link href={href} className="panel count">
      <span className="row">{text}</span>
      <strong>{count.toLocaleString()}</strong>
    </Link>
  );
}

/** Executions that wait longer than this are listed as a problem, ms. */
const LONG_WAIT_MS = 10 * 60_000;

function NeedsALook({ machines, overview }: NumbersProps) {
  const version = useQuery(sessionQuery).data?.version;
  const items = [
    ...machineItems(machines),
    ...versionItems(machines, version),
    ...(overview === undefined ? [] : serverItems(overview)),
  ];
  if (items.length === 0) return null;
  return (
    <section className="panel" aria-label="Needs a look">
      <header>
        <h2>Needs a look</h2>
      </header>
      <ul className="look body">
        {items.map(({ key, content }) => (
          <li key={key} className="row">
            {content}
          </li>
        ))}
      </ul>
    </section>
  );
}

interface Item {
  key: string;
  content: ReactNode;
}

function machineItems(machines: readonly Machine[]): Item[] {
  const away = machines.filter(({ status }) => status.reason === 'agent_away' || status.phase === 'failed');
  const shown = away.slice(0, MAX_AWAY_SHOWN).map((machine) => ({
    key: machine.machine_id,
    content: (
      <>
        <MachineStatus machine={machine} />
        <Link href={`/machines/${machine.machine_id}`}>{machine.machine_id}</Link>
        <span className="soft">
          last heard from <Age at={machine.status.last_progress_at} />
        </span>
      </>
    ),
  }));
  const more = away.length - shown.length;
  if (more <= 0) return shown;
  return [...shown, { key: 'more', content: <Link href="/machines?q=offline">and {more.toLocaleString()} more</Link> }];
}

/** Agents of another version than the server. */
function versionItems(machines: readonly Machine[], version: string | undefined): Item[] {
  const versions = machines.flatMap(({ facts }) => (facts === undefined ? [] : [facts.agent_version]));
  const others = [...new Set(versions)].filter((other) => other !== version);
  return others.map((other) => ({
    key: `version ${other}`,
    content: (
      <>
        <span className="status square tone-warn">Version</span>
        <Link href={`/machines?q=${encodeURIComponent(other)}`}>
          {versions.filter((one) => one === other).length.toLocaleString()} with agent {other}
        </Link>
        <span className="soft">the server is {version}</span>
      </>
    ),
  }));
}

function serverItems({ failing_callbacks: failing, oldest_waiting_at: oldest }: ConsoleOverview): Item[] {
  const waitsLong = oldest !== undefined && Date.now() - Date.parse(oldest) > LONG_WAIT_MS;
  return [
    ...(failing === 0
      ? []
      : [
          {
            key: 'callbacks',
            content: (
              <>
                <span className="status square tone-warn">Webhooks</span>
                <Link href="/webhooks">{failing.toLocaleString()} not delivered yet</Link>; the server log contains the
                reason.
              </>
            ),
          },
        ]),
    ...(waitsLong && oldest !== undefined
      ? [
          {
            key: 'waiting',
            content: (
              <>
                <span className="status hollow tone-warn">Waiting</span>
                <span>
                  The oldest waiting execution was created <Age at={oldest} />.
                </span>
              </>
            ),
          },
        ]
      : []),
  ];
}

function Recent() {
  const mayRead = useMay('executions:read');
  const list = useInfiniteQuery({ ...listQuery('/v1/executions', EXECUTION, { limit: RECENT }), enabled: mayRead });
  const executions = itemsOf(list.data).slice(0, RECENT);
  if (!mayRead) return null;
  return (
    <section className="panel" aria-label="Latest executions">
      <header>
        <h2>Latest executions</h2>
        <Link href="/executions">All executions</Link>
      </header>
      {list.error !== null && <ErrorNotice error={list.error} />}
      {list.isPending && <Loading />}
      {list.isSuccess && executions.length === 0 && <Empty title="No executions yet" />}
      {executions.length > 0 && <ExecutionTable executions={executions} machine="shown" />}
    </section>
  );
}
