/** Decides on an agent's reports about one execution: each is applied once, in order, within the caps, whatever the agent sends. */
import { type Execution, isTerminal, type Stream } from '../execution.ts';
import { isPassed, MAX_CHUNK_BYTES, type RawRecord, type StoredReport } from '../report.ts';
import { addToArtifact, type ArtifactTerms, beginArtifact, endArtifact } from './artifacts.ts';
import { type ExecutionChange, ExecutionDraft, type ExecutionRecord } from './execution-draft.ts';
import { type OutputTerms, storedUpTo } from './output-streams.ts';
import { meaningOf, type Produced } from './report-meaning.ts';

/** Maximum number of events of one execution: later output is counted and not kept. */
const MAX_EVENTS = 1_000_000;

/** The server's clock, how far the agent's is behind it in ms, and the limits of kept output. */
export interface ReportTerms extends OutputTerms {
  now: number;
  clockOffsetMs: number;
  maxEvents?: number;
  artifacts: ArtifactTerms;
}

interface ReportDecision {
  outcome: 'applied' | 'duplicate' | 'terminal' | 'gap' | 'foreign';
  /** All reports up to this number are stored or not needed: the agent may drop them. */
  reported: number;
  /** The change to write. Absent if no report was new. */
  change?: ExecutionChange;
}

/** Decides on the reports for one execution. `record`: undefined if the execution is unknown. */
export function applyReports(
  record: ExecutionRecord | undefined,
  p: { machineId: string; reports: readonly StoredReport[]; terms: ReportTerms },
): ReportDecision {
  if (record === undefined || !concerns(p.machineId, record.execution)) return { outcome: 'foreign', reported: 0 };
  const { status, reported: alreadyReported } = record.execution;
  const highest = p.reports.reduce((number, report) => Math.max(number, report.number), alreadyReported);
  if (isTerminal(status)) return { outcome: 'terminal', reported: highest };
  const draft = new ExecutionDraft(record);
  const complete = applyInOrder(draft, p.reports, p.terms);
  if (isTerminal(draft.execution.status)) draft.set({ reported: highest });
  const { reported } = draft.execution;
  if (reported === alreadyReported) return { outcome: complete ? 'duplicate' : 'gap', reported };
  return { outcome: complete ? 'applied' : 'gap', reported, change: draft.change() };
}

/** Returns false at a missing number: no report after it is applied. Reports after the end are not needed, so they make no gap. */
function applyInOrder(draft: ExecutionDraft, reports: readonly StoredReport[], terms: ReportTerms): boolean {
  for (const report of reports) {
    const { status, reported } = draft.execution;
    if (isTerminal(status)) return true;
    if (report.number <= reported) continue;
    if ((isPassed(report) ? report.first : report.number) > reported + 1) return false;
    if (isPassed(report)) draft.passOutput(report);
    else applyReport(draft, report, terms);
    draft.set({ reported: report.number });
  }
  return true;
}

function applyReport(draft: ExecutionDraft, report: RawRecord, terms: ReportTerms): void {
  const at = eventTime(draft.lastEventAt, report.at, terms);
  const meaning = meaningOf(report);
  switch (meaning.type) {
    case 'started':
      draft.apply({ type: 'started' }, terms.now, at);
      return;
    case 'output':
      applyOutput(draft, meaning.stream, report.payload, { at, terms });
      return;
    case 'tail':
      draft.keepTail(meaning.stream, report.payload);
      return;
    case 'progress':
      count(draft, 'stdout', meaning.stdout, MAX_CHUNK_BYTES);
      count(draft, 'stderr', meaning.stderr, MAX_CHUNK_BYTES);
      return;
    case 'ended':
      count(draft, 'stdout', meaning.stdout, 0);
      count(draft, 'stderr', meaning.stderr, 0);
      if (meaning.usage !== undefined) draft.set({ usage: meaning.usage });
      draft.apply({ type: 'ended', outcome: meaning.outcome }, terms.now, at);
      return;
    case 'artifact':
      beginArtifact(draft, { name: meaning.name, number: report.number, terms: terms.artifacts });
      return;
    case 'artifact_data':
      addToArtifact(draft, report.payload, { at, terms: terms.artifacts });
      return;
    case 'artifact_end':
      if (hasRoomForEvent(draft, terms)) endArtifact(draft, { ...meaning, at, now: terms.now });
      return;
    case 'ignored':
      return;
  }
}

/** Keeps the part of a chunk that the caps allow. Our own agent respects the caps and reports the bytes that it did not keep. */
function applyOutput(
  draft: ExecutionDraft,
  stream: Stream,
  chunk: Buffer,
  { at, terms }: { at: number; terms: ReportTerms },
): void {
  if (chunk.length === 0) return;
  const { bytes, truncated } = draft.execution[stream];
  const kept = keepable(draft, stream, chunk, terms);
  if (kept.length > 0) draft.appendChunk(stream, kept, at);
  if (kept.length === chunk.length) return;
  const produced = (truncated ? bytes : draft.kept(stream)) + chunk.length - kept.length;
  draft.set({ [stream]: { bytes: Math.max(bytes, produced), truncated: true } });
}

/** Returns the part of a chunk to keep. After a cut within a character nothing more is kept: the kept part is a prefix of the stream. */
function keepable(draft: ExecutionDraft, stream: Stream, chunk: Buffer, terms: ReportTerms): Buffer {
  const room = hasRoomForEvent(draft, terms) ? Math.max(0, storedUpTo(draft, stream, terms) - draft.kept(stream)) : 0;
  if (room < MAX_CHARACTER_BYTES && draft.execution[stream].truncated) return chunk.subarray(0, 0);
  return chunk.length <= room ? chunk : chunk.subarray(0, characterEnd(chunk, room));
}

/** Whether the log has room for another event. One event is reserved for the end. */
function hasRoomForEvent(draft: ExecutionDraft, { maxEvents = MAX_EVENTS }: ReportTerms): boolean {
  return draft.execution.lastSequence < maxEvents - 1;
}

/** Length of the longest characters in UTF-8. */
const MAX_CHARACTER_BYTES = 4;

/** Returns the end of the last whole character within the first `length` bytes; `length` itself if they are not UTF-8. */
function characterEnd(chunk: Buffer, length: number): number {
  for (let end = length; end >= 0 && end > length - MAX_CHARACTER_BYTES; end -= 1) {
    if (((chunk[end] ?? 0) & 0xc0) !== 0x80) return end;
  }
  return length;
}

/** Whether an execution is the machine's and was dispatched or has ended. Our own agent reports on no other. */
function concerns(machineId: string, execution: Execution): boolean {
  return execution.machineId === machineId && (execution.dispatchedTo !== undefined || isTerminal(execution.status));
}

/**
 * Raises the count of a stream. Bytes without a chunk here were not kept, except for up to `underWay` bytes that the agent may still hold
 * back (it reports progress before it has sent the last of the other stream).
 */
function count(draft: ExecutionDraft, stream: Stream, produced: Produced, underWay: number): void {
  const before = draft.execution[stream];
  const bytes = Math.max(before.bytes, produced.bytes);
  const missing = bytes - draft.kept(stream);
  draft.set({ [stream]: { bytes, truncated: before.truncated || produced.truncated || missing > underWay } });
}

/** Returns the time of a report by the server's clock: never before the previous event, never in the future. */
function eventTime(lastEventAt: number, reportedAt: number, { now, clockOffsetMs }: ReportTerms): number {
  const at = Math.floor(reportedAt + clockOffsetMs);
  return Math.max(lastEventAt, Number.isFinite(at) ? Math.min(at, now) : now);
}
