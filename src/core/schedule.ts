/** Schedules: one command on machines, again and again. What a tick becomes is decided here. */

/** What becomes of a tick while the run before it goes on: it is left out, it waits, or it ends that run. */
export const OVERLAPS = ['skip', 'queue', 'cancel'] as const;
export type Overlap = (typeof OVERLAPS)[number];

export const RUN_OUTCOMES = [
  /** Written down; its batch is made next. */
  'starting',
  /** It has a batch. */
  'started',
  /** It waits for the run before it. */
  'queued',
  /** The run before it went on, or no machine was selected. */
  'skipped',
  /** No server was there at its time. */
  'missed',
  /** It could not be started: the key of its creator is revoked. */
  'refused',
] as const;
export type RunOutcome = (typeof RUN_OUTCOMES)[number];

/** When a schedule is due: by a cron expression in a time zone, or every so many ms. */
export type Timing = { cron: string; timeZone: string } | { everyMs: number };

export interface TickContext {
  overlap: Overlap;
  /** Whether a tick that was missed is made up for. */
  catchUp: boolean;
  /** How late it is looked at, in ms. */
  lateMs: number;
  /** Whether the run before it goes on. */
  busy: boolean;
  /** Whether another one waits already. */
  queued: boolean;
}

/** A server that is busy, or starts again, is not late by more. */
export const MISSED_AFTER_MS = 60_000;

export interface TickDecision {
  outcome: Extract<RunOutcome, 'starting' | 'queued' | 'skipped' | 'missed'>;
  /** The run before it is cancelled. */
  cancelEarlier: boolean;
}

/** Decides what a tick becomes; pure and total. */
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
