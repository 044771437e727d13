/** Schedules, newest first. */
import { useInfiniteQuery } from '@tanstack/react-query';
import { Link } from 'wouter';
import { itemsOf, listQuery } from '../../data/lists.ts';
import { type Schedule, SCHEDULES } from '../../data/schedules.ts';
import { useMay } from '../../data/session.ts';
import { HeadRow } from '../../lists/head-row.tsx';
import { Age } from '../../parts/age.tsx';
import { commandText } from '../../data/command.ts';
import { Empty } from '../../parts/empty.tsx';
import { ListContents } from '../../lists/list-contents.tsx';
import { ErrorNotice } from '../../parts/notice.tsx';
import { ScheduleStatus } from '../../parts/status.tsx';
import { timingText } from './timing-text.ts';
import { useRowKeys } from '../../shell/use-row-keys.ts';
import { SCHEDULE } from '../../../client/http/shapes.ts';

export function SchedulesPage() {
  const list = useInfiniteQuery(listQuery(SCHEDULES, SCHEDULE));
  const schedules = itemsOf(list.data);
  return (
    <>
      <div className="page-head">
        <h1>Schedules</h1>
        <NewSchedule />
      </div>
      {list.error !== null && <ErrorNotice error={list.error} />}
      <section className="panel" aria-label="Schedules">
        <ListContents
          list={list}
          count={schedules.length}
          empty={
            <Empty title="No schedule yet" action={<NewSchedule />}>
              A schedule runs a command repeatedly: at the times of a cron expression, or at an interval.
            </Empty>
          }
        >
          <ScheduleTable schedules={schedules} />
        </ListContents>
      </section>
    </>
  );
}

function ScheduleTable({ schedules }: { schedules: readonly Schedule[] }) {
  const chosen = useRowKeys(schedules.map(({ schedule_id: id }) => `/schedules/${id}`));
  return (
    <table className="table" aria-label="Schedules">
      <thead>
        <HeadRow
          columns={[
            ['State', 'col-status'],
            ['Schedule'],
            ['Command', 'optional'],
            ['When', 'optional'],
            ['Next run', 'col-age'],
          ]}
        />
      </thead>
      <tbody>
        {schedules.map((schedule, index) => (
          <tr key={schedule.schedule_id} className={index === chosen ? 'chosen' : ''}>
            <td>
              <ScheduleStatus schedule={schedule} />
            </td>
            <td title={schedule.name}>
              <Link href={`/schedules/${schedule.schedule_id}`}>{schedule.name ?? schedule.schedule_id}</Link>
            </td>
            <td className="mono optional" title={commandText(schedule.command)}>
              {commandText(schedule.command)}
            </td>
            <td className="optional">{timingText(schedule)}</td>
            <td>{schedule.next_run_at === undefined ? '–' : <Age at={schedule.next_run_at} />}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function NewSchedule() {
  if (!useMay('executions:write')) return null;
  return (
    <Link href="/run?when=cron" className="button primary">
      New schedule
    </Link>
  );
}
