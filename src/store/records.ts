/** What the store keeps, takes and answers: the shapes behind the use cases of store.ts. */
import type { ExecutionState, ExecutionStatus, FailureCode, StreamCount } from '../core/execution.ts';
import type { MachineFacts } from '../core/protocol.ts';
import type { RawRecord } from '../core/report.ts';

/** An execution as stored. Times are ms since the epoch. */
export interface Execution extends ExecutionState {
  executionId: string;
  machineId: string;
  command: readonly string[];
  cwd?: string;
  /** Names only, sorted; empty when there was no env. */
  envKeys: readonly string[];
  user?: string;
  timeoutMs?: number;
  stdinMode: 'none' | 'fixed' | 'open';
  callbackUrl?: string;
  stdout: StreamCount;
  stderr: StreamCount;
  /** Public events so far; the next one gets this plus 1. */
  lastSequence: number;
  /** The number of the last report applied: what the agent may forget. */
  reported: number;
  /** Rises per machine with every dispatch; set together with `dispatchedTo`. */
  dispatchNumber?: number;
  /** API key ids (or `admin`). */
  createdBy: string;
  cancelledBy?: string;
}

/** A public event of the log. `chunk` is bytes as the process wrote them. */
export type ExecutionEvent = { sequence: number; at: number } & (
  | { type: 'stdout' | 'stderr'; chunk: Buffer }
  | ({ type: 'lifecycle'; status: ExecutionStatus } & {
      exitCode?: number;
      signal?: number;
      errorCode?: FailureCode;
      errorMessage?: string;
    })
);

/** What has to be remembered to recognise a retry (contract §5.7). */
export interface Idempotency {
  /** API key id and the caller's key: unique together. */
  apiKeyId: string;
  key: string;
  /** Keyed digest of method, path and body. */
  digest: Buffer;
  expiresAt: number;
}

/** Outcomes common to everything that takes an Idempotency. `resource` is the id that the first request made or touched. */
export type Replay = { outcome: 'replayed'; resource: string } | { outcome: 'key_reused' };

export interface NewExecution {
  executionId: string;
  machineId: string;
  command: readonly string[];
  cwd?: string;
  envKeys: readonly string[];
  user?: string;
  timeoutMs?: number;
  stdinMode: 'none' | 'fixed' | 'open';
  callbackUrl?: string;
  /** env and stdin, sealed; NULL from the end of the execution on. */
  sealedInput?: Buffer;
  expiresAt: number;
  createdBy: string;
}

export type CreateOutcome =
  | {
      outcome: 'created';
      execution: Execution;
    }
  | { outcome: 'machine_not_found' | 'machine_removed' | 'queue_full' }
  | Replay;

/** An execution on its way to an agent, with its sealed input. */
export interface Dispatch {
  execution: Execution;
  sealedInput?: Buffer;
}

export interface ReportBatch {
  machineId: string;
  /** Reports in the order in which they came in; of any executions of the machine. */
  records: readonly RawRecord[];
  /** Server clock minus agent clock, ms. */
  clockOffsetMs: number;
  now: number;
}

/** What became of an execution's reports in a batch. */
export interface ReportResult {
  executionId: string;
  /**
   * applied: some of it was new; duplicate: all of it was known; terminal: it had ended before, so the reports were dropped;
   * gap: a number was missing, nothing from there on was taken; foreign: it is not this machine's, or does not exist.
   */
  outcome: 'applied' | 'duplicate' | 'terminal' | 'gap' | 'foreign';
  /** All reports up to here are on disk (or will never be wanted). */
  reported: number;
  /** The execution as it is now; absent when foreign. */
  execution?: Execution;
  statusChanged: boolean;
}

export interface Machine {
  machineId: string;
  createdAt: number;
  facts: MachineFacts;
  phase: 'placement_pending' | 'running' | 'sleeping' | 'destroyed';
  /** Changes with every transition. */
  revision: number;
  lastTransitionAt: number;
  lastProgressAt: number;
  /** The runner instance seen last. */
  runnerInstance?: string;
  bootId?: string;
}

export interface JoinToken {
  joinTokenId: string;
  machineId?: string;
  reusable: boolean;
  createdAt: number;
  expiresAt: number;
}

export type EnrolOutcome =
  | { outcome: 'enrolled'; machine: Machine; replacedCredential: boolean }
  /** Unknown, used, expired or revoked token. */
  | { outcome: 'token_invalid' }
  /** The id exists (or existed) and the token is not bound to it, or is bound to another. */
  | { outcome: 'machine_refused' };

export interface ApiKey {
  apiKeyId: string;
  name: string;
  scopes: readonly string[];
  machineIds?: readonly string[];
  createdAt: number;
  expiresAt?: number;
  lastUsedAt?: number;
}

export interface AuditEntry {
  auditId: number;
  at: number;
  /** API key id, `admin`, or `agent:MACHINE_ID`. */
  actor: string;
  /** Address of the client. */
  source: string;
  /** As `execution.create`, `api_key.revoke`. */
  action: string;
  machineId?: string;
  /** The id of what was acted on. */
  resource?: string;
  command?: readonly string[];
  outcome: string;
}

/** A page may hold fewer than were asked for, where they are large, but at least one of those that there are. */
export interface Page<T> {
  items: T[];
  /** Where the next page starts; absent on the last one. */
  next?: number;
}

export interface PageRequest {
  limit: number;
  /** A `next` of the page before. */
  after?: number;
}
