import type { Start } from '../../../core/protocol.ts';
import type { ReportKind } from '../../../core/report.ts';
import type { Artifacts } from '../artifacts/artifacts.ts';
import type { ExecutionLog } from '../journal/execution-log.ts';
import type { Resolved, Spawner } from '../spawner/spawner.ts';
import type { Execution } from './execution.ts';
import type { Launch, Prepared } from './launch.ts';
import type { Output } from './output.ts';
import type { OutputPause } from './output-pause.ts';
import type { Termination } from './termination.ts';

/** What an execution needs of the runner around it. */
export interface ExecutionHost {
  prepare(start: Start): Prepared | Promise<Prepared>;
  /** What is about to run: the rule of the policy that it breaks, if any. */
  brokenRule(argv: readonly string[], resolved: Resolved): string | undefined;
  /** The words for each of these processes. */
  describe(pids: readonly number[]): string[];
  /** SIGKILL has not ended it; `processes` are the words for those that are left. */
  killFailed(log: ExecutionLog, processes: readonly string[]): void;
  report(log: ExecutionLog, kind: ReportKind, payload: Buffer): void;
  /** Settles when the journal takes more of what can wait. */
  room(): Promise<void>;
  /** It runs under this pid. */
  spawned(log: ExecutionLog, pid: number): void;
  /** The live stdin may have moved. */
  stdinMoved(execution: Execution): void;
  /** Its end is reported (or nobody wants it): its slot is free. */
  over(execution: Execution): void;
}

/** What there is from the call of the spawner on. */
export interface Run {
  spawner: Spawner;
  handle: number;
  launch: Launch;
  output: Output;
  termination: Termination;
  artifacts: Artifacts | undefined;
  pause: OutputPause;
  cancelTimeout: () => void;
}
