/** Executions whose output is kept until it is read: how much of it may be kept, and what happens if nobody reads it. */
import { type ExecutionChange, ExecutionDraft, type ExecutionRecord } from './execution-draft.ts';

const ABANDONED = 'Nobody has read the output for too long: from now on output is kept up to a limit.';

/**
 * Bytes by which an agent may exceed the limit that it was told: it reads on for a moment, and learns of each release after the server.
 * Bytes beyond that are not kept, so that an agent that ignores the limit fills no disk.
 */
const STREAM_SLACK_BYTES = 16 * 1024 * 1024;

export interface OutputTerms {
  /** Bytes kept of each stream. */
  maxOutputBytes: number;
  /** Unread bytes of a stream that may wait, for executions in stream mode. */
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

/** Nobody reads the output of a running execution: its log gets a remark, and from now on it is kept as bounded output. */
export function abandonOutput(record: ExecutionRecord, now: number): ExecutionChange {
  const draft = new ExecutionDraft(record);
  draft.set({ outputMode: 'abandoned' });
  draft.note(ABANDONED, now);
  return draft.change();
}
