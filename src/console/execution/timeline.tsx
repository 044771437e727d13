/** The statuses of an execution, with reason and time. */
import type { ExecutionEventWire } from '../../api/execution.ts';
import { Age } from '../parts/age.tsx';
import { durationText } from '../parts/duration.ts';
import { executionStatusText } from '../parts/status.tsx';

const REASONS: Readonly<Record<string, string>> = {
  wake_in_progress: 'Its machine is not connected.',
  queued: 'It waits for a free slot of its machine.',
  running: 'The process has started.',
};

export function Timeline({ events }: { events: readonly ExecutionEventWire[] }) {
  if (events.length === 0) return null;
  return (
    <section className="panel" aria-label="Timeline">
      <header>
        <h2>Timeline</h2>
      </header>
      <ol className="timeline body">
        {events.map((event, index) => {
          const before = events[index - 1];
          const after = before === undefined ? undefined : Date.parse(event.at) - Date.parse(before.at);
          return (
            <li key={event.sequence}>
              <strong>{event.status === undefined ? '' : executionStatusText(event.status)}</strong>
              <span className="soft small">
                {after === undefined ? <Age at={event.at} /> : `after ${durationText(after)}`}
              </span>
              <span className="reason small">{reasonOf(event)}</span>
            </li>
          );
        })}
      </ol>
    </section>
  );
}

function reasonOf({ status = 'queued', error_message: message, exit_code: exitCode }: ExecutionEventWire): string {
  return message ?? REASONS[status] ?? (exitCode === undefined ? '' : `Exit code ${exitCode}.`);
}
