/** The progress of a batch: a bar and a text. */
import type { Batch } from '../../data/batches.ts';
import { machineCount } from '../../data/batches.ts';
import { executionStatusText } from '../../parts/status.tsx';

/** Statuses in the order in which executions pass through them. */
const PARTS = [
  ['succeeded', 'good'],
  ['failed', 'bad'],
  ['expired', 'warn'],
  ['cancelled', 'idle'],
  ['running', 'busy'],
  ['queued', 'wake'],
  ['wake_in_progress', 'wake'],
  ['pending', 'rest'],
] as const;

/** Such as "3 succeeded, 1 failed, 6 not begun". */
export function progressText({ counts }: Pick<Batch, 'counts'>): string {
  return PARTS.filter(([status]) => (counts[status] ?? 0) > 0)
    .map(([status]) => `${counts[status]} ${statusText(status)}`)
    .join(', ');
}

export function BatchProgress({ batch }: { batch: Batch }) {
  const all = machineCount(batch);
  return (
    <div className="progress" role="img" aria-label={progressText(batch)} title={progressText(batch)}>
      <svg viewBox="0 0 100 1" preserveAspectRatio="none" aria-hidden="true">
        {barsOf(batch, all).map(({ status, tone, from, width }) => (
          <rect key={status} className={`tone-${tone}`} x={from} y="0" width={width} height="1" />
        ))}
      </svg>
    </div>
  );
}

/** Returns the start and width of each bar in percent. */
function barsOf({ counts }: Batch, all: number) {
  let from = 0;
  return PARTS.map(([status, tone]) => {
    const width = all === 0 ? 0 : (100 * (counts[status] ?? 0)) / all;
    const bar = { status, tone, from, width };
    from += width;
    return bar;
  });
}

function statusText(status: (typeof PARTS)[number][0]): string {
  return status === 'pending' ? 'not begun' : executionStatusText(status).toLowerCase();
}
