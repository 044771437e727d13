/** One schedule: its next runs, and the outcome of each run. */
import { useInfiniteQuery, useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { Link, useLocation } from 'wouter';
import { transport } from '../../data/client.ts';
import { itemsOf, listQuery } from '../../data/lists.ts';
import { type Schedule, type ScheduleRun, SCHEDULES, schedulePath, scheduleQuery } from '../../data/schedules.ts';
import { useMay } from '../../data/session.ts';
import { HeadRow } from '../../lists/head-row.tsx';
import { Age } from '../../parts/age.tsx';
import { commandText } from '../../data/command.ts';
import { Confirm } from '../../parts/confirm.tsx';
import { Empty, Unavailable } from '../../parts/empty.tsx';
import { FactsPanel } from '../../parts/facts-panel.tsx';
import { labelTexts } from '../../parts/labels.tsx';
import { ListContents } from '../../lists/list-contents.tsx';
import { ErrorNotice, Notice } from '../../parts/notice.tsx';
import { BatchStatus, ScheduleStatus } from '../../parts/status.tsx';
import { timingText } from './timing-text.ts';
import { BatchProgress } from '../batches/batch-progress.tsx';
import { SCHEDULE, SCHEDULE_RUN } from '../../../client/http/shapes.ts';
import { shortTime } from '../../parts/duration.ts';

const OUTCOMES: Readonly<Record<ScheduleRun['outcome'], string>> = {
  starting: 'Starting',
  started: 'Started',
  queued: 'Waits for the previous run',
  skipped: 'Skipped',
  missed: 'Missed',
  refused: 'Refused',
};
/** Other reasons are shown as in the API. */
const REASONS: Readonly<Record<string, string>> = {
  overlap: 'the previous run was unfinished',
  no_machines: 'no machine has the labels',
  paused: 'it was paused',
  key_queue_full: 'the key that created it has too many bytes waiting',
  key_revoked: 'the key that created it can no longer run commands',
};
const OVERLAPS: Readonly<Record<Schedule['overlap'], string>> = {
  skip: 'the next run is skipped',
  queue: 'the next run waits',
  cancel: 'the previous run is cancelled',
};

export function SchedulePage({ scheduleId }: { scheduleId: string }) {
  const schedule = useQuery(scheduleQuery(scheduleId));
  const mayChange = useMay('executions:write');
  if (schedule.data === undefined) return <Unavailable title={scheduleId} error={schedule.error} />;
  const { name, command, paused, paused_reason: reason } = schedule.data;
  return (
    <>
      <div className="page-head">
        <div className="stack-tight">
          <div className="row">
            <ScheduleStatus schedule={schedule.data} />
            <span className="soft small">{timingText(schedule.data)}</span>
          </div>
          <h1 className={name === undefined ? 'mono' : ''}>{name ?? commandText(command)}</h1>
        </div>
        {mayChange && <Actions schedule={schedule.data} />}
      </div>
      {paused && reason === 'key_revoked' && (
        <Notice tone="warn" title="Paused: the API key that created it can no longer run commands">
          <p>Resume it to run it with your key, or create it again with another key.</p>
        </Notice>
      )}
      <Facts schedule={schedule.data} />
      <Runs scheduleId={scheduleId} />
    </>
  );
}

function Facts({ schedule }: { schedule: Schedule }) {
  const { selector, next_runs: next = [], cwd, user, env_keys: names, max_concurrency: atOnce } = schedule;
  return (
    <FactsPanel
      facts={[
        ['Command', <code key="command">{commandText(schedule.command)}</code>],
        ['On', (selector.machine_ids ?? labelTexts(selector.labels)).join(', ')],
        ['At once', String(atOnce)],
        ['If a run takes longer', OVERLAPS[schedule.overlap]],
        ['Missed runs', schedule.catch_up ? 'made up for, by one' : 'left out'],
        ['Working directory', cwd === undefined ? undefined : <code key="cwd">{cwd}</code>],
        ['User', user],
        ['Environment', names === undefined ? undefined : <code key="env">{names.join(', ')}</code>],
        ['Next', next.length === 0 ? 'none' : <Times key="next" times={next} />],
        ['Created', <Age key="created" at={schedule.created_at} />],
      ]}
    />
  );
}

function Times({ times }: { times: readonly string[] }) {
  return (
    <>
      {times.map((at) => (
        <div key={at} className="nowrap">
          {shortTime(at)}
        </div>
      ))}
    </>
  );
}

function Runs({ scheduleId }: { scheduleId: string }) {
  const list = useInfiniteQuery(listQuery(`${schedulePath(scheduleId)}/runs`, SCHEDULE_RUN));
  const runs = itemsOf(list.data);
  return (
    <section className="panel" aria-label="Runs">
      <header>
        <h2>Runs</h2>
      </header>
      {list.error !== null && <ErrorNotice error={list.error} />}
      <ListContents list={list} count={runs.length} empty={<Empty title="It has not been due yet" />}>
        <table className="table" aria-label="Runs">
          <thead>
            <HeadRow
              columns={[['State', 'col-status'], ['Outcome'], ['Progress', 'col-result optional'], ['Due', 'col-age']]}
            />
          </thead>
          <tbody>
            {runs.map((run) => (
              <Run key={run.due_at} run={run} />
            ))}
          </tbody>
        </table>
      </ListContents>
    </section>
  );
}

function Run({ run: { due_at: due, outcome, reason, batch } }: { run: ScheduleRun }) {
  const text = reason === undefined ? OUTCOMES[outcome] : `${OUTCOMES[outcome]}: ${REASONS[reason] ?? reason}`;
  return (
    <tr>
      <td>{batch === undefined ? '–' : <BatchStatus status={batch.status} />}</td>
      <td>{batch === undefined ? text : <Link href={`/batches/${batch.batch_id}`}>{text}</Link>}</td>
      <td className="optional">{batch !== undefined && <BatchProgress batch={batch} />}</td>
      <td>
        <Age at={due} />
      </td>
    </tr>
  );
}

function Actions({ schedule: { schedule_id: id, paused } }: { schedule: Schedule }) {
  const [isDialogOpen, setDialogOpen] = useState(false);
  const queryClient = useQueryClient();
  const [, navigate] = useLocation();
  const pausing = useMutation({
    mutationFn: () => transport.json('PATCH', schedulePath(id), SCHEDULE, { body: { paused: !paused } }),
    onSuccess: () => queryClient.invalidateQueries({ queryKey: ['schedule', id] }),
  });
  const deleting = useMutation({
    mutationFn: () => transport.json('DELETE', schedulePath(id), SCHEDULE),
    onSuccess: async () => {
      await queryClient.invalidateQueries({ queryKey: ['list', SCHEDULES] });
      navigate('/schedules');
    },
  });
  return (
    <div className="row">
      {pausing.error !== null && <ErrorNotice error={pausing.error} />}
      <button type="button" className="button" disabled={pausing.isPending} onClick={() => pausing.mutate()}>
        {paused ? 'Resume' : 'Pause'}
      </button>
      <button type="button" className="button danger" onClick={() => setDialogOpen(true)}>
        Delete
      </button>
      {isDialogOpen && (
        <Confirm
          title="Delete this schedule?"
          action="Delete"
          busy={deleting.isPending}
          error={deleting.error}
          onConfirm={() => deleting.mutate()}
          onClose={() => setDialogOpen(false)}
        >
          Its history is deleted too. Commands that it has started continue.
        </Confirm>
      )}
    </div>
  );
}
