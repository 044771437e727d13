/**
 * The journal's own records: kinds from 64 on, number 0. A later runner finds the live executions by them. They never leave the machine, and
 * contain neither env nor stdin.
 */
import { encodeRecord } from '../../../core/report.ts';
import type { Tally } from '../../schemas/files.ts';

export const NOTE_KIND = {
  /** Intent: written before anything is spawned. */
  accepted: 64,
  /** The command runs: identifies its main process. */
  spawned: 65,
  /** First in a segment: an execution that was live before is live only if a `live` note follows. */
  checkpoint: 66,
  /** Carried forward: a live execution, and its tally. */
  live: 67,
  /** No record of the execution is needed any more. */
  forgotten: 68,
} as const;
export type NoteKind = keyof typeof NOTE_KIND;

/** The tally of an execution without reports. */
export function emptyTally(): Tally {
  return { reported: 0, stdout_kept: 0, stderr_kept: 0, stdout_bytes: 0, stderr_bytes: 0 };
}

/** Encodes a note on `executionId`. */
export function encodeNote(executionId: string, kind: NoteKind, at: number, note: object = {}): Buffer {
  const payload = Buffer.from(JSON.stringify(note));
  return encodeRecord({ kind: NOTE_KIND[kind], executionId, number: 0, at, payload });
}
