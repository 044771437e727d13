/** Schedules: they run one command on machines repeatedly. Decides whether a tick starts a run. */

/** How a tick is handled while the previous run is unfinished: `skip` drops it, `queue` delays it, `cancel` cancels that run. */
export const OVERLAPS = ['skip', 'queue', 'cancel'] as const;
export type Overlap = (typeof OVERLAPS)[number];

export const RUN_OUTCOMES = [
  /** The tick is recorded. Its batch is created next. */
  'starting',
  /** It has a batch. */
  'started',
  /** It waits for the previous run to end. */
  'queued',
  /** The previous run was unfinished, or no machine was selected. */
  'skipped',
  /** No server was running at its time. */
  'missed',
  /** It could not be started: the key of its creator is revoked. */
  'refused',
] as const;
export type RunOutcome = (typeof RUN_OUTCOMES)[number];

/** The times of a schedule: a cron expression in a time zone, or an interval in ms. */
export type Timing = { cron: string; timeZone: string } | { everyMs: number };

export interface TickContext {
  overlap: Overlap;
  /** Whether a missed tick is run later. */
  catchUp: boolean;
  /** How late the tick is examined, in ms. */
  lateMs: number;
  /** Whether the previous run is unfinished. */
  busy: boolean;
  /** Whether another run is queued already. */
  queued: boolean;
}

/** A tick that is later than this counts as missed, in ms. A server that is busy or restarts is not later than this. */
export const MISSED_AFTER_MS = 60_000;

export interface TickDecision {
  outcome: Extract<RunOutcome, 'starting' | 'queued' | 'skipped' | 'missed'>;
  /** Whether the previous run is cancelled. */
  cancelEarlier: boolean;
}

/** Decides whether a tick starts a run, waits or is dropped. Pure and total. */
export function decideTick({ overlap, catchUp, lateMs, busy, queued }: TickContext): TickDecision {
  if (lateMs > MISSED_AFTER_MS && !catchUp) return { outcome: 'missed', cancelEarlier: false };
  if (!busy && !queued) return { outcome: 'starting', cancelEarlier: false };
  switch (overlap) {
    case 'skip':
      return { outcome: 'skipped', cancelEarlier: false };
    case 'queue':
      return { outcome: queued ? 'skipped' : 'queued', cancelEarlier: false };
    case 'cancel':
      return { outcome: 'starting', cancelEarlier: busy };
  }
}
