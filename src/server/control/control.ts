/**
 * The interface of the control plane for the HTTP routes: separates src/server/http from dispatch, agents and live. Implemented in
 * control-plane.ts.
 */
import type { Limits, TerminalSize } from '../../core/launch-options.ts';
import type { Context } from '@opentelemetry/api';
import type { DeclaredArtifact } from '../../core/artifact.ts';
import type { UsagePayload } from '../../core/report.ts';
import type { CancelOutcome, CreateOutcome, Execution, OnBehalf, ReleaseOutcome } from '../../store/store.ts';
import type { ChangeHint } from './cluster/cluster.ts';
import type { StdinOutcome, StdinRequest } from './commands/stdin.ts';
import type { Listener } from './live/live.ts';

/** A create request after validation. */
export interface CreateRequest extends OnBehalf {
  machineId: string;
  command: readonly string[];
  stdin: { mode: 'none' } | { mode: 'fixed'; bytes: Buffer } | { mode: 'open' };
  env: Readonly<Record<string, string>>;
  cwd?: string;
  user?: string;
  /** Absent: no limit. */
  timeoutMs?: number;
  /** Absent: the server's setting. */
  startWithinMs?: number;
  callbackUrl?: string;
  /** Absent: output is kept up to a limit. */
  outputMode?: 'stream';
  tty?: TerminalSize;
  limits?: Limits;
  /** Runs on a terminal (`command`: its shell, or nothing). */
  isTerminal?: true;
  declaredArtifacts?: readonly DeclaredArtifact[];
  createdBy: string;
  /** The span of the request, if it is traced. */
  trace?: Context;
}

/** `key_queue_full`: the requests of its key that wait on all machines are too large together. */
export type CreateResult = CreateOutcome | { outcome: 'key_queue_full' };

export interface ControlPlane {
  /** Whether agents are let in and requests served now. */
  readonly ready: boolean;
  /** Number of servers that share the load: each takes its part of limits that apply to all together. */
  readonly servers: number;
  create(request: CreateRequest): Promise<CreateResult>;
  cancel(p: { machineId: string; executionId: string; by: string } & OnBehalf): Promise<CancelOutcome>;
  /** `not_running`: it still waits; `agent_away`: its agent is not connected. A terminal one: `stale`. */
  signal(p: { execution: Execution; signal: string }): Promise<'sent' | 'stale' | 'not_running' | 'agent_away'>;
  /**
   * Passes on a piece of live stdin. Settles when the runner has taken it over. `offset` is the place of the bytes (absent: after all
   * earlier ones). `offset` in the answer: bytes of stdin taken over so far.
   */
  writeStdin(request: StdinRequest): Promise<StdinOutcome>;
  /** Sets the size of its terminal. `not_running`: it still waits; `agent_away`: its agent is not connected. A terminal one: `stale`. */
  resize(p: { execution: Execution; size: TerminalSize }): Promise<'sent' | 'stale' | 'not_running' | 'agent_away'>;
  /** Returns what its processes have used: until its end as its agent says now, if that is known. */
  usage(execution: Execution): Promise<UsagePayload | undefined>;
  /** A reader has everything before `offset` of a stream in stream mode: deletes it, and the command may produce more. */
  releaseOutput(p: {
    machineId: string;
    executionId: string;
    stream: 'stdout' | 'stderr';
    offset: number;
  }): Promise<ReleaseOutcome>;
  /** Calls `listener` after each commit that touches the execution. Returns the unsubscription. In memory, bounded by its callers. */
  subscribe(executionId: string, listener: Listener): () => void;
  /** Settles with the execution when it is terminal, or after `waitMs`, or when `signal` aborts. */
  waitForEnd(p: { execution: Execution; waitMs: number; signal: AbortSignal }): Promise<Execution>;
  /** Settles when there are events past `afterSequence`, the execution is terminal, `waitMs` are over or `signal` aborts. */
  waitForEvents(p: {
    execution: Execution;
    afterSequence: number;
    waitMs: number;
    signal: AbortSignal;
  }): Promise<Execution>;
  /** Tells the other servers of a change that a request there may wait for. Does nothing without other servers. */
  tell(hint: ChangeHint): void;
  /** The machine was removed, and these ended with it: kills its commands, closes its connection. */
  machineRemoved(machineId: string, ended: readonly Execution[]): Promise<void>;
  /** The store ended these otherwise than by reports of their agents. */
  ended(executions: readonly Execution[]): void;
  /** Disconnects the machine's agent. Settles when that is written. */
  detachAgent(machineId: string): Promise<void>;
  /** The credential of this machine was replaced or revoked: closes its connection at once. */
  credentialChanged(machineId: string): Promise<void>;
  /** Asks the agent of this machine to enrol again with this join token. */
  rotateCredential(p: { machineId: string; joinToken: string }): Promise<'sent' | 'agent_away'>;
}
