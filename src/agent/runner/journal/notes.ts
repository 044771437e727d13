/**
 * The journal's own records: kinds from 64 on, number 0. They tell a later runner which executions were live; they never
 * leave the machine, and hold neither env nor stdin.
 */
import { encodeRecord } from '../../../core/report.ts';
import type { ProcessIdentity } from '../process-tree.ts';

export const NOTE_KIND = {
  /** Intent: written before anything is spawned. */
  accepted: 64,
  /** It runs: what identifies its main process. */
  spawned: 65,
  /** First in a segment: what was live before is live only if a `live` note follows. */
  checkpoint: 66,
  /** Carried forward: a live execution, and what had been reported of it. */
  live: 67,
  /** Nothing of it is needed any more. */
  settled: 68,
} as const;
export type NoteKind = keyof typeof NOTE_KIND;

export interface AcceptedNote {
  dispatch_number: number;
}

/** What has been produced and reported so far. */
export interface Tally {
  /** The highest report number. */
  reported: number;
  /** Bytes of output in reports. */
  stdout_kept: number;
  stderr_kept: number;
  /** Bytes produced as far as is known, kept or not. */
  stdout_bytes: number;
  stderr_bytes: number;
}

export interface LiveNote extends AcceptedNote, Tally {
  process?: ProcessIdentity;
}

/** A tally of nothing. */
export function emptyTally(): Tally {
  return { reported: 0, stdout_kept: 0, stderr_kept: 0, stdout_bytes: 0, stderr_bytes: 0 };
}

/** Writes a note on `executionId`. */
export function encodeNote(executionId: string, kind: NoteKind, at: number, note: object = {}): Buffer {
  const payload = Buffer.from(JSON.stringify(note));
  return encodeRecord({ kind: NOTE_KIND[kind], executionId, number: 0, at, payload });
}
