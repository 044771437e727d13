import type { Start, StdinAck } from '../../../core/protocol.ts';
import type { ReportKind } from '../../../core/report.ts';
import type { Artifacts } from '../artifacts/artifacts.ts';
import type { DropFolders } from '../artifacts/drop-folder.ts';
import type { ExecutionLog } from '../journal/execution-log.ts';
import type { Resolved, Spawner } from '../spawner/spawner.ts';
import type { Execution } from './execution.ts';
import type { Launch, Prepared } from './launch.ts';
import type { Output } from './output.ts';
import type { OutputPause } from './output-pause.ts';
import type { Termination } from './termination.ts';

/** The parts of the runner that an execution uses. */
export interface ExecutionHost {
  dropFolders: DropFolders;
  prepare(start: Start): Prepared | Promise<Prepared>;
  /** Checks the file and directory that are about to run. Returns the rule of the policy that they break, if any. */
  brokenRule(argv: readonly string[], resolved: Resolved): string | undefined;
  /** Returns a description of each process. */
  describe(pids: readonly number[]): string[];
  /** Called if SIGKILL has not ended the command. `processes`: descriptions of the remaining processes. */
  killFailed(log: ExecutionLog, processes: readonly string[]): void;
  report(log: ExecutionLog, kind: ReportKind, payload: Buffer): void;
  /** Settles when the journal has room for reports that can wait. */
  room(): Promise<void>;
  /** Called when the command runs. */
  spawned(log: ExecutionLog, pid: number): void;
  /** Called when the position of the live stdin may have changed. */
  stdinMoved(execution: Execution, writer?: StdinAck['writer']): void;
  /** Called when the end was reported or is no longer needed, and the slot is free. */
  over(execution: Execution): void;
}

/** The state of an execution from the call of the spawner on. */
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
