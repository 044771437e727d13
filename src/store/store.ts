/**
 * What the server needs of its database, in the words of the use cases. Every method is one transaction; what it returns
 * is on disk. A method rejects only with StoreUnavailableError (nothing was written) or for a fault of ours.
 */
import type { ExecutionState, ExecutionStatus, FailureCode, StreamCount } from '../core/execution.ts';
import type { MachineFacts } from '../core/protocol.ts';
import type { RawRecord } from '../core/report.ts';

/** The database cannot be written or read now (disk full, I/O error, locked): try again later. */
export class StoreUnavailableError extends Error {
  override readonly name = 'StoreUnavailableError';
}

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

export interface Store {
  /** Settles when what was handed in is on disk and the database is closed. */
  close(): Promise<void>;
  /** Settles when a write went through; rejects with StoreUnavailableError. For readiness and for recovery. */
  checkWritable(): Promise<void>;

  // --- executions: the caller's side -------------------------------------------------------------------------------

  /**
   * Makes it with its first event: `queued` where the machine is connected (phase running), else `wake_in_progress`.
   * With `dispatchTo` (the machine's connected runner instance, a slot reserved) it is marked as dispatched in the same transaction,
   * unless older ones wait: then it is created without the mark.
   */
  createExecution(p: {
    execution: NewExecution;
    now: number;
    queueLimit: number;
    dispatchTo?: string;
    idempotency?: Idempotency;
  }): Promise<CreateOutcome>;
  getExecution(p: { machineId: string; executionId: string }): Promise<Execution | undefined>;
  /** Newest first. */
  listExecutions(p: { machineId: string; status?: ExecutionStatus } & PageRequest): Promise<Page<Execution>>;
  /** `applied`: cancelled at once, or marked for its agent (`execution.dispatchedTo` is set); `stale`: nothing to do any more. */
  requestCancel(p: {
    machineId: string;
    executionId: string;
    by: string;
    now: number;
    idempotency?: Idempotency;
  }): Promise<{ outcome: 'applied' | 'stale'; execution: Execution } | { outcome: 'not_found' } | Replay>;
  /** Binds a key to something that writes nothing else (a signal, a piece of stdin): `bound` for the first, then a Replay. */
  bindIdempotency(p: {
    idempotency: Idempotency;
    resource: string;
    now: number;
  }): Promise<{ outcome: 'bound' } | Replay>;
  /** Frees a key whose request was refused after all. */
  releaseIdempotency(p: { apiKeyId: string; key: string }): Promise<void>;

  /** Oldest first, past `afterSequence`; stops early once the chunks together pass `maxBytes` (always at least one event). */
  listEvents(p: {
    executionId: string;
    afterSequence: number;
    limit: number;
    maxBytes: number;
  }): Promise<ExecutionEvent[]>;
  /** Bytes of a stream from `offset` (0-based) on, at most `maxBytes` and at least one byte unless the kept bytes end there. */
  readStream(p: {
    executionId: string;
    stream: 'stdout' | 'stderr';
    offset: number;
    maxBytes: number;
  }): Promise<Buffer>;
  /** How many bytes of a stream are kept so far. */
  keptBytes(p: { executionId: string; stream: 'stdout' | 'stderr' }): Promise<number>;

  // --- executions: the agent's side ---------------------------------------------------------------------------------

  /** Marks the oldest waiting ones (`queued`, not dispatched, not expired) as dispatched to this instance, at most `limit`. */
  claimQueued(p: { machineId: string; runnerInstance: string; limit: number; now: number }): Promise<Dispatch[]>;
  /** All that is dispatched and not terminal, by rising dispatch number; with sealed input for those above `aboveNumber`. */
  listDispatched(p: { machineId: string; aboveNumber: number }): Promise<Dispatch[]>;
  /** Writes new reports as events, once and in order, and moves the executions on. */
  appendReports(p: ReportBatch): Promise<ReportResult[]>;
  /** For those whose start never arrived: ended where cancelled or expired meanwhile, else untouched. Returns those that ended. */
  settleUndelivered(p: { executionIds: readonly string[]; now: number }): Promise<Execution[]>;
  /** Ends them as agent_lost; those already terminal are left out of the result. */
  declareLost(p: { executionIds: readonly string[]; reason: string; now: number }): Promise<Execution[]>;
  /** Moves up to `limit` of the machine's wake_in_progress ones to queued, oldest first; returns them. */
  wakeWaiting(p: { machineId: string; limit: number; now: number }): Promise<Execution[]>;
  /** Ends up to `limit` waiting ones whose expires_at has passed; returns them. */
  expireDue(p: { now: number; limit: number }): Promise<Execution[]>;
  /** The earliest expires_at of anything that waits undispatched; undefined when nothing waits. */
  nextExpiry(): Promise<number | undefined>;
  /** Machines that are away since before `awaySince` and still have dispatched, unfinished executions: those. */
  listAbandoned(p: { awaySince: number; limit: number }): Promise<Execution[]>;

  // --- machines ------------------------------------------------------------------------------------------------------

  createMachine(p: {
    machineId: string;
    now: number;
  }): Promise<{ outcome: 'created'; machine: Machine } | { outcome: 'exists' }>;
  /** Also a removed one (phase destroyed). */
  getMachine(p: { machineId: string }): Promise<Machine | undefined>;
  /** Removed ones are left out. Oldest first. `machineIds` limits it to those. */
  listMachines(p: { machineIds?: readonly string[] } & PageRequest): Promise<Page<Machine>>;
  /** Removes it for good: ends what runs or waits there, drops its credential; its id stays taken. */
  removeMachine(p: {
    machineId: string;
    now: number;
    idempotency?: Idempotency;
  }): Promise<{ outcome: 'removed'; machine: Machine; ended: Execution[] } | { outcome: 'not_found' } | Replay>;
  machineConnected(p: {
    machineId: string;
    runnerInstance: string;
    bootId: string;
    facts: MachineFacts;
    now: number;
  }): Promise<{ outcome: 'applied'; machine: Machine } | { outcome: 'removed' }>;
  machineDisconnected(p: { machineId: string; now: number }): Promise<void>;
  /** SHA-256 of an agent's credential → its machine. */
  findMachineByCredential(p: { credentialHash: Buffer }): Promise<Machine | undefined>;
  /** The old credential dies; `not_found` also for a removed machine. */
  replaceCredential(p: {
    machineId: string;
    credentialHash: Buffer | undefined;
    now: number;
  }): Promise<'applied' | 'not_found'>;

  // --- join tokens ---------------------------------------------------------------------------------------------------

  createJoinToken(p: {
    token: JoinToken;
    tokenHash: Buffer;
    now: number;
    idempotency?: Idempotency;
  }): Promise<{ outcome: 'created' } | Replay>;
  getJoinToken(p: { joinTokenId: string }): Promise<JoinToken | undefined>;
  /** Those that can still be used, newest first. */
  listJoinTokens(p: { now: number } & PageRequest): Promise<Page<JoinToken>>;
  revokeJoinToken(p: { joinTokenId: string; now: number }): Promise<JoinToken | undefined>;
  /**
   * Uses a token: a machine gets its credential. Repeating it with the same token and credential gives the same answer, so a
   * lost reply does no harm. `machineId`: as asked for, or made by the caller for a token without one.
   */
  enrol(p: {
    tokenHash: Buffer;
    requestedMachineId?: string;
    freshMachineId: string;
    credentialHash: Buffer;
    now: number;
  }): Promise<EnrolOutcome>;

  // --- API keys and audit --------------------------------------------------------------------------------------------

  createApiKey(p: {
    apiKey: ApiKey;
    keyHash: Buffer;
    now: number;
    idempotency?: Idempotency;
  }): Promise<{ outcome: 'created' } | Replay>;
  getApiKey(p: { apiKeyId: string }): Promise<ApiKey | undefined>;
  /** SHA-256 of a key → the key, unless revoked; expiry is the caller's to judge. */
  findApiKey(p: { keyHash: Buffer }): Promise<ApiKey | undefined>;
  listApiKeys(p: PageRequest): Promise<Page<ApiKey>>;
  revokeApiKey(p: { apiKeyId: string; now: number }): Promise<ApiKey | undefined>;
  touchApiKeys(p: { used: ReadonlyMap<string, number> }): Promise<void>;
  appendAudit(p: { entry: Omit<AuditEntry, 'auditId'> }): Promise<void>;
  listAudit(p: { machineIds?: readonly string[] } & PageRequest): Promise<Page<AuditEntry>>;

  // --- webhooks ------------------------------------------------------------------------------------------------------

  /** Up to `limit` callbacks due at `now`; each is put off to `retryAt` in the same transaction, so that a crash repeats it. */
  claimCallbacks(p: {
    now: number;
    retryAt: number;
    limit: number;
  }): Promise<{ callbackId: number; attempt: number; createdAt: number; url: string; execution: Execution }[]>;
  /** Delivered, or given up. */
  finishCallback(p: { callbackId: number }): Promise<void>;
  retryCallback(p: { callbackId: number; at: number }): Promise<void>;
  /** When the next callback is due; undefined when none waits. */
  nextCallback(): Promise<number | undefined>;

  // --- housekeeping --------------------------------------------------------------------------------------------------

  /** Deletes up to `limit` finished executions completed before `before`, with their events; returns how many. */
  deleteFinished(p: { before: number; limit: number }): Promise<number>;
  /** Forgets expired Idempotency-Keys and spent join tokens; returns how many. */
  forgetExpired(p: { now: number; limit: number }): Promise<number>;
  /** Counts for metrics: executions by status that are not terminal, oldest waiting createdAt, machines by phase. */
  statistics(): Promise<{
    executions: Partial<Record<ExecutionStatus, number>>;
    oldestWaitingAt?: number;
    machines: Partial<Record<Machine['phase'], number>>;
  }>;
}
