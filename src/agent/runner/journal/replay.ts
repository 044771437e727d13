import { decodeRecord, MAX_RECORD_BYTES, type RawRecord } from '../../../core/report.ts';
import { type Guard, parseJson } from '../../../core/json.ts';
import { isAcceptedNote, isLiveNote, isProcessIdentity } from '../../schemas/checks.ts';
import type { LiveNote } from '../../schemas/files.ts';
import { ExecutionLog } from './execution-log.ts';
import { NOTE_KIND } from './notes.ts';
import type { Segment } from './segment.ts';

const BLOCK_BYTES = 8 * MAX_RECORD_BYTES;

/**
 * Reads the segments, oldest first, each up to its last whole record, and returns the state of each execution. Sets `size` and `needed`
 * of each segment.
 */
export function replay(segments: readonly Segment[]): Map<string, ExecutionLog> {
  const state: ReplayState = { logs: new Map(), broken: new Set() };
  const block = Buffer.allocUnsafe(BLOCK_BYTES);
  for (const segment of segments) {
    segment.size = scan(segment, block, ({ record, offset, length }) => {
      if (record.kind < 64) replayReport(state, segment, { record, offset, length });
      else replayNote(state, record);
    });
  }
  return state.logs;
}

interface ReplayState {
  logs: Map<string, ExecutionLog>;
  /** Executions with a missing report. Reports after the gap could not be delivered. */
  broken: Set<string>;
}

/** A record in a segment. `offset`, `length`: its bytes in the segment. */
interface FoundRecord {
  record: RawRecord;
  offset: number;
  length: number;
}

/** Calls `visit` with each whole record. Returns the offset at which they end. A torn or corrupt record ends the segment. */
function scan(segment: Segment, block: Buffer, visit: (found: FoundRecord) => void): number {
  for (let offset = 0; ; ) {
    const bytes = block.subarray(0, segment.read(block, offset));
    let at = 0;
    for (let decoded = decodeRecord(bytes, 0); decoded.ok; decoded = decodeRecord(bytes, at)) {
      visit({ record: decoded.record, offset: offset + at, length: decoded.bytes });
      at += decoded.bytes;
    }
    offset += at;
    if (at === 0) return offset;
  }
}

function replayReport(state: ReplayState, segment: Segment, { record, offset, length }: FoundRecord): void {
  const id = record.executionId;
  if (state.broken.has(id)) return;
  const existing = state.logs.get(id);
  // The segment with its intent was removed: these are the last records of an execution that had ended.
  const log = existing ?? new ExecutionLog(id, 0);
  if (record.number <= log.reported) return;
  if (log.reported > 0 && record.number !== log.reported + 1) {
    state.broken.add(id);
    return;
  }
  state.logs.set(id, log);
  log.wrote(record.number, record.kind, record.payload, segment.position(offset), length);
  log.reported = record.number;
  segment.needed++;
}

function replayNote(state: ReplayState, record: RawRecord): void {
  const id = record.executionId;
  if (record.kind === NOTE_KIND.checkpoint) {
    for (const log of state.logs.values()) log.accepted = false;
    return;
  }
  if (record.kind === NOTE_KIND.accepted) {
    const log = new ExecutionLog(id, note(record, isAcceptedNote)?.dispatch_number ?? 0);
    log.accepted = true;
    state.logs.set(id, log);
  } else if (record.kind === NOTE_KIND.live) {
    const live = note(record, isLiveNote);
    if (live !== undefined) replayLive(state, id, live);
  } else if (record.kind === NOTE_KIND.spawned) {
    const log = state.logs.get(id);
    if (log !== undefined) log.process = note(record, isProcessIdentity);
  } else if (record.kind === NOTE_KIND.forgotten) {
    const log = state.logs.get(id);
    if (log !== undefined) log.forgotten = true;
  }
}

function replayLive(state: ReplayState, id: string, live: LiveNote): void {
  const { process, dispatch_number, ...tally } = live;
  const log = state.logs.get(id) ?? new ExecutionLog(id, dispatch_number);
  state.logs.set(id, log);
  log.accepted = true;
  log.process = process;
  if (log.reported > 0 && log.reported !== tally.reported) state.broken.add(id);
  if (state.broken.has(id)) return;
  log.tally = tally;
  log.reported = tally.reported;
}

function note<N>(record: RawRecord, guard: Guard<N>): N | undefined {
  const value = parseJson(record.payload.toString());
  return guard(value) ? value : undefined;
}
