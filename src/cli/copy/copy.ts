/** Options of a copy in either direction. */
import type { CopyProgress } from './progress.ts';

export interface CopyOptions {
  /** Keep modes and times. */
  preserve: boolean;
  /** Ends the copy. */
  signal: AbortSignal;
  progress: CopyProgress;
}
