/**
 * The interface of the control plane for the HTTP routes, which separates src/server/http from dispatch, agents and live. Implemented in
 * control-plane.ts.
 */
import type { TerminalCommands } from './terminals/terminal-commands.ts';
import type { UsagePayload } from '../../core/report.ts';
import type { CancelOutcome, Execution, Idempotency, OnBehalf } from '../../store/store.ts';
import type { ChangeHint } from './cluster/cluster.ts';
import type { CreateRequest, CreateResult } from './commands/create-request.ts';
import type { Sent } from './commands/machine-commands.ts';
import type { OutputReaders } from './commands/streamed-output.ts';

export type { CreateRequest, CreateResult } from './commands/create-request.ts';

/** The control plane. Commands that terminals use as well are in TerminalCommands. */
export interface ControlPlane extends TerminalCommands {
  /** Whether the server accepts agents and requests now. */
  readonly ready: boolean;
  /** Number of servers that share the load: each takes its part of limits that apply to all together. */
  readonly servers: number;
  create(request: CreateRequest): Promise<CreateResult>;
  /**
   * Counts bytes that a batch or a schedule of this key keeps on the server. False if they are too many, with its waiting requests. A request
   * that repeats an earlier one keeps nothing more, so the answer is true.
   */
  mayKeep(p: { createdBy: string; bytes: number; idempotency?: Idempotency }): Promise<boolean>;
  cancel(p: { machineId: string; executionId: string; by: string } & OnBehalf): Promise<CancelOutcome>;
  /** Sends a signal. `not_running`: the execution still waits; `stale`: it has ended. */
  signal(p: { execution: Execution; signal: string }): Promise<Sent | 'stale' | 'not_running'>;
  /** The readers of output in stream mode. */
  readonly output: OutputReaders;
  /** Returns the usage of an execution's processes: of a running one, as its agent reports it now. Undefined if it is not known. */
  usage(execution: Execution): Promise<UsagePayload | undefined>;
  /** Settles with the execution when it is terminal, or after `waitMs`, or when `signal` aborts. */
  waitForEnd(p: { execution: Execution; waitMs: number; signal: AbortSignal }): Promise<Execution>;
  /** Settles when there are events past `afterSequence`, the execution is terminal, `waitMs` have passed or `signal` aborts. */
  waitForEvents(p: {
    execution: Execution;
    afterSequence: number;
    waitMs: number;
    signal: AbortSignal;
  }): Promise<Execution>;
  /** Sends the other servers a hint of a change that a request there may wait for. Does nothing without other servers. */
  tell(hint: ChangeHint): void;
  /** Kills the commands of a removed machine and closes its connection. `ended`: the executions that ended with it. */
  machineRemoved(machineId: string, ended: readonly Execution[]): Promise<void>;
  /** Notifies listeners of executions that ended without a report of their agents. */
  ended(executions: readonly Execution[]): void;
  /** Disconnects the machine's agent. Settles when the disconnect is written. */
  detachAgent(machineId: string): Promise<void>;
  /** Closes the connection of a machine whose credential was replaced or revoked. */
  credentialChanged(machineId: string): Promise<void>;
  /** Makes the agent of a machine enrol again with a join token. */
  rotateCredential(p: { machineId: string; joinToken: string }): Promise<Sent>;
}
