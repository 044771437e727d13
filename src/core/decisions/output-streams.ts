/** Limits of output that is kept until it is read, and the end of that mode if nobody reads it. */
import type { Execution } from '../execution.ts';
import { type ExecutionChange, ExecutionDraft, type ExecutionRecord } from './execution-draft.ts';

const ABANDONED = 'Nobody has read the output for too long: from now on output is kept up to a limit.';

/**
 * Bytes by which an agent may exceed its output limit: what it sends without an acknowledgement, and what it reads before it stops. Further bytes
 * are not kept, so that an agent that ignores the limit cannot fill the disk.
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
  { execution, released }: { execution: Pick<Execution, 'outputMode'> } & Pick<ExecutionRecord, 'released'>,
  stream: 'stdout' | 'stderr',
  terms: OutputTerms,
): number {
  if (execution.outputMode === undefined) return terms.maxOutputBytes;
  if (execution.outputMode === 'abandoned') return released[stream] + terms.streamBufferBytes;
  // A release is written after the agent was told of it: a killed server leaves a command that may be a whole buffer ahead of the store.
  return released[stream] + 2 * terms.streamBufferBytes + STREAM_SLACK_BYTES;
}

/** Ends the stream mode of a running execution whose output nobody reads: adds a remark to its log and keeps later output up to the limit. */
export function abandonOutput(record: ExecutionRecord, now: number): ExecutionChange {
  const draft = new ExecutionDraft(record);
  draft.set({ outputMode: 'abandoned' });
  draft.note(ABANDONED, now);
  return draft.change();
}
