/** Executions on all machines. The filters are part of the address. */
import { useInfiniteQuery } from '@tanstack/react-query';
import { Link, useSearchParams } from 'wouter';
import { itemsOf, listQuery } from '../data/lists.ts';
import { useMay } from '../data/session.ts';
import { Empty } from '../parts/empty.tsx';
import { ExecutionTable } from '../execution/execution-table.tsx';
import { ListContents } from '../lists/list-contents.tsx';
import { ErrorNotice } from '../parts/notice.tsx';
import { EXECUTION_STATUSES } from '../parts/status.tsx';
import { EXECUTION } from '../../client/http/shapes.ts';

const SPANS = [
  ['1h', 'Last hour', 3_600_000],
  ['1d', 'Last day', 86_400_000],
  ['7d', 'Last week', 604_800_000],
] as const;
/** A complete label. A partly typed one does not filter yet. */
const LABEL = /^[a-z0-9]([a-z0-9._/-]*[a-z0-9])?(=.*)?$/;
/** The start of the time span moves once a minute, so that the list stays one query. */
const MINUTE_MS = 60_000;

export function ExecutionsPage() {
  const [parameters, setParameters] = useSearchParams();
  const status = parameters.get('status') ?? '';
  const span = parameters.get('since') ?? '';
  const label = parameters.get('label') ?? '';
  const list = useInfiniteQuery(listQuery('/v1/executions', EXECUTION, filters({ status, span, label })));
  const executions = itemsOf(list.data);
  const filtered = status !== '' || span !== '' || label !== '';
  const set = (name: string, value: string) => {
    const next = new URLSearchParams(parameters);
    if (value === '') next.delete(name);
    else next.set(name, value);
    setParameters(next, { replace: true });
  };
  return (
    <>
      <div className="page-head">
        <h1>Executions</h1>
        <RunLink />
      </div>
      {list.error !== null && <ErrorNotice error={list.error} />}
      <section className="panel" aria-label="Executions">
        <header>
          <div className="row">
            <select
              aria-label="State"
              className="filter"
              value={status}
              onChange={({ target }) => set('status', target.value)}
            >
              <option value="">Any state</option>
              {EXECUTION_STATUSES.map((option) => (
                <option key={option.status} value={option.status}>
                  {option.text}
                </option>
              ))}
            </select>
            <select
              aria-label="Created"
              className="filter"
              value={span}
              onChange={({ target }) => set('since', target.value)}
            >
              <option value="">Any time</option>
              {SPANS.map(([value, text]) => (
                <option key={value} value={value}>
                  {text}
                </option>
              ))}
            </select>
            <input
              className="filter"
              aria-label="Label of the machine"
              placeholder="Label, such as role=web"
              autoComplete="off"
              spellCheck={false}
              value={label}
              onChange={({ target }) => set('label', target.value.trim())}
            />
            {filtered && (
              <button type="button" className="button quiet" onClick={() => setParameters({}, { replace: true })}>
                Clear
              </button>
            )}
          </div>
        </header>
        <ListContents
          list={list}
          count={executions.length}
          empty={
            <Empty title={filtered ? 'No execution matches' : 'No executions yet'} action={!filtered && <RunLink />}>
              {filtered
                ? 'Choose another state or a longer time.'
                : 'Each command that runs on a machine is listed here, with its output and its result.'}
            </Empty>
          }
        >
          <ExecutionTable executions={executions} machine="shown" />
        </ListContents>
      </section>
    </>
  );
}

function RunLink() {
  if (!useMay('executions:write')) return null;
  return (
    <Link href="/run" className="button primary">
      Run a command
    </Link>
  );
}

function filters({ status, span, label }: { status: string; span: string; label: string }) {
  const spanMs = SPANS.find(([value]) => value === span)?.[2];
  const since = spanMs === undefined ? undefined : Math.floor(Date.now() / MINUTE_MS) * MINUTE_MS - spanMs;
  return {
    ...(status === '' ? {} : { status }),
    ...(LABEL.test(label) ? { label } : {}),
    ...(since === undefined ? {} : { since: new Date(since).toISOString() }),
  };
}
