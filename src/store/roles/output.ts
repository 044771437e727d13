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
  /** `released`: the number of released bytes of each stream afterwards. */
  | { outcome: 'released'; execution: Execution; released: Readonly<Record<Stream, number>> }
  /** The execution does not exist on this machine, keeps its output, or has not produced that many bytes. */
  | { outcome: 'not_found' | 'not_streamed' | 'past_end' };

export interface OutputStore {
  outputBounds(p: StreamName): Promise<OutputBounds>;
  /** The last bytes of a stream, after the kept part. Undefined if the stream was not cut, or the agent did not send them. */
  outputTail(p: StreamName): Promise<Buffer | undefined>;
  /** Deletes the bytes before `offset`, which a reader has received. An offset that was released already changes nothing. */
  releaseOutput(p: StreamName & { machineId: string; offset: number; now: number }): Promise<ReleaseOutcome>;
  /** Records that the output has a reader, or the terminal a client, until `until` (ms since the epoch; now, if it has just left). */
  outputRead(p: { executionId: string; until: number }): Promise<void>;
  /** Terminals that run and had no client since `idleSince`. */
  listIdleTerminals(p: { idleSince: number; limit: number }): Promise<Execution[]>;
  /** Sets up to `limit` running executions to "abandoned" whose output nobody has read since `idleSince`, and returns them. */
  abandonIdleOutput(p: { idleSince: number; now: number; limit: number }): Promise<Execution[]>;
  /** Deletes the contents of up to `limit` terminals that ended before `endedBefore` (ms since the epoch). Returns their number. */
  releaseEndedTerminals(p: { endedBefore: number; limit: number }): Promise<number>;
}
