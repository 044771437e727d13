/** Output that is kept until it is read: executions with `outputMode` "stream". */
import type { Execution, Stream } from '../../core/execution.ts';

export type { Stream } from '../../core/execution.ts';

export interface StreamName {
  executionId: string;
  stream: Stream;
}

/** The kept part of a stream: the bytes from `start` (0-based) to before `end`. `start` is above 0 once bytes were released. */
export interface OutputBounds {
  start: number;
  end: number;
}

export type ReleaseOutcome =
  /** `released`: of each stream, after it. */
  | { outcome: 'released'; execution: Execution; released: Readonly<Record<Stream, number>> }
  /** The execution does not exist on this machine, keeps its output, or has not produced that many bytes. */
  | { outcome: 'not_found' | 'not_streamed' | 'past_end' };

export interface OutputStore {
  outputBounds(p: StreamName): Promise<OutputBounds>;
  /** The last bytes of the stream, all after the kept ones. Undefined if it was not cut, or the agent did not send them. */
  outputTail(p: StreamName): Promise<Buffer | undefined>;
  /** A reader has everything before `offset`: deletes those bytes. An offset that was released already changes nothing. */
  releaseOutput(p: StreamName & { machineId: string; offset: number; now: number }): Promise<ReleaseOutcome>;
  /** A reader is connected until `until` (ms since the epoch; now, if it has just gone), or a client is attached to the terminal. */
  outputRead(p: { executionId: string; until: number }): Promise<void>;
  /** Terminals that run and had no client since `idleSince`. */
  listIdleTerminals(p: { idleSince: number; limit: number }): Promise<Execution[]>;
  /** Sets up to `limit` running executions to "abandoned" whose output nobody has read since `idleSince`, and returns them. */
  abandonIdleOutput(p: { idleSince: number; now: number; limit: number }): Promise<Execution[]>;
}
