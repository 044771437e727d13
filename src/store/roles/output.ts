/** Output that is kept until it is read: executions with `outputMode` "stream". */
import type { Execution, Stream } from '../../core/execution.ts';

export type { Stream } from '../../core/execution.ts';

export interface StreamName {
  executionId: string;
  stream: Stream;
}

/** What is kept of a stream: the bytes from `start` (0-based) to before `end`. `start` is above 0 once bytes were released. */
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
  /** The last bytes that the stream had, all of them past those that are kept; undefined if it was not cut, or nobody sent them. */
  outputTail(p: StreamName): Promise<Buffer | undefined>;
  /** A reader has everything before `offset`: those bytes are deleted. An offset that was released before changes nothing. */
  releaseOutput(p: StreamName & { machineId: string; offset: number; now: number }): Promise<ReleaseOutcome>;
  /** A reader is there: the stream is not idle. */
  outputRead(p: { executionId: string; now: number }): Promise<void>;
  /** Sets up to `limit` running executions to "abandoned" whose output nobody has read since `idleSince`; returns them. */
  abandonIdleOutput(p: { idleSince: number; now: number; limit: number }): Promise<Execution[]>;
}
