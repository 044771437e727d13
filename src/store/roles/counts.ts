/** Counts by minute, for charts. Several servers add to the same ones. */
export interface MinuteCount {
  /** Minutes since the epoch. */
  minute: number;
  /** What was counted. */
  name: string;
  count: number;
}

export interface CountStore {
  /** Adds to what was counted before, and forgets the minutes before `forgetBefore`. */
  addCounts(p: { counts: readonly MinuteCount[]; forgetBefore: number }): Promise<void>;
  /** From the minute `from` on, added up over spans of `step` minutes; each under the first minute of its span, a multiple of `step`. */
  listCounts(p: { from: number; step: number }): Promise<MinuteCount[]>;
  /** Callbacks that were tried more than once and are still to be delivered. */
  failingCallbacks(): Promise<number>;
}
