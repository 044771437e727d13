import { parseJson } from '../../../core/json.ts';
import { REPORT_KIND } from '../../../core/report.ts';
import type { ProcessIdentity } from '../../../node/process-identity.ts';
import { isProgressPayload } from '../../schemas/checks.ts';
import type { LiveNote, Tally } from '../../schemas/files.ts';
import { emptyTally } from './notes.ts';
import { ReportIndex } from './report-index.ts';

/** The journal's state of one execution, from the intent until no record of it is needed. */
export class ExecutionLog {
  readonly executionId: string;
  readonly dispatchNumber: number;
  /** Its reports on disk that are not acknowledged. */
  readonly index = new ReportIndex();
  /** The part that is on disk. */
  tally: Tally = emptyTally();
  process: ProcessIdentity | undefined;
  /** The highest report number used. Reports above `tally.reported` are not written yet. */
  reported = 0;
  /** The intent is on disk. */
  accepted = false;
  /** The end is on disk. */
  ended = false;
  /** No record of it is needed: further reports are dropped. */
  forgotten = false;

  constructor(executionId: string, dispatchNumber: number) {
    this.executionId = executionId;
    this.dispatchNumber = dispatchNumber;
  }

  /** Whether a runner that starts now would have to end it. */
  get live(): boolean {
    return this.accepted && !this.ended && !this.forgotten;
  }

  /** Whether its end and all reports before it were acknowledged. */
  get done(): boolean {
    return this.ended && this.index.last < this.index.first && this.tally.reported === this.reported;
  }

  liveNote(): LiveNote {
    const process = this.process === undefined ? {} : { process: this.process };
    return { dispatch_number: this.dispatchNumber, ...this.tally, ...process };
  }

  /** Records that a report is on disk. Throws RangeError on a gap. */
  wrote(number: number, kind: number, payload: Buffer, position: number, length: number): void {
    this.index.push(number, position, length);
    this.tally = tallied(this.tally, number, kind, payload);
    if (kind === REPORT_KIND.ended) this.ended = true;
  }
}

function tallied(tally: Tally, reported: number, kind: number, payload: Buffer): Tally {
  const next = { ...tally, reported };
  if (kind === REPORT_KIND.stdout) {
    next.stdout_kept += payload.length;
    next.stdout_bytes = Math.max(next.stdout_bytes, next.stdout_kept);
  } else if (kind === REPORT_KIND.stderr) {
    next.stderr_kept += payload.length;
    next.stderr_bytes = Math.max(next.stderr_bytes, next.stderr_kept);
  } else if (kind === REPORT_KIND.progress) {
    const progress = parseJson(payload.toString());
    if (!isProgressPayload(progress)) return next;
    next.stdout_bytes = Math.max(next.stdout_bytes, progress.stdout_bytes);
    next.stderr_bytes = Math.max(next.stderr_bytes, progress.stderr_bytes);
  }
  return next;
}
