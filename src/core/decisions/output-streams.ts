/** Executions whose output is kept until it is read: how much of it may be kept, and what happens if nobody reads. */
import { type ExecutionChange, ExecutionDraft, type ExecutionRecord } from './execution-draft.ts';

const ABANDONED =
  'Nobody has read the output for too long: what the command prints from here on is kept up to a limit.';

/**
 * How far an agent may run past the limit that it was told, in bytes: it reads on for a moment, and hears of each release after the
 * server. What is beyond that is not kept, so that an agent that ignores the limit fills no disk.
 */
const STREAM_SLACK_BYTES = 16 * 1024 * 1024;

export interface OutputTerms {
  /** Bytes kept of each stream. */
  maxOutputBytes: number;
  /** Bytes of a stream that may wait to be read, for executions in stream mode. */
  streamBufferBytes: number;
}

/** The offset up to which bytes of a stream are stored. */
export function storedUpTo(
  { execution, released }: Pick<ExecutionRecord, 'execution' | 'released'>,
  stream: 'stdout' | 'stderr',
  terms: OutputTerms,
): number {
  if (execution.outputMode === undefined) return terms.maxOutputBytes;
  const slack = execution.outputMode === 'stream' ? STREAM_SLACK_BYTES : 0;
  return released[stream] + terms.streamBufferBytes + slack;
}

/** Nobody reads the output of a running execution: it is told in its log, and is kept as bounded output from here on. */
export function abandonOutput(record: ExecutionRecord, now: number): ExecutionChange {
  const draft = new ExecutionDraft(record);
  draft.set({ outputMode: 'abandoned' });
  draft.note(ABANDONED, now);
  return draft.change();
}
