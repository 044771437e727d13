/**
 * What the server needs of its database, in the words of the use cases. Every method is one transaction; what it returns
 * is on disk. A method rejects only with StoreUnavailableError (nothing was written) or for a fault of ours.
 */
import type { ExecutionStatus } from '../core/execution.ts';
import type { MachineFacts } from '../core/protocol.ts';
import type {
  ApiKey,
  AuditEntry,
  CreateOutcome,
  Dispatch,
  EnrolOutcome,
  Execution,
  ExecutionEvent,
  Idempotency,
  JoinToken,
  Machine,
  NewExecution,
  Page,
  PageRequest,
  Replay,
  ReportBatch,
  ReportResult,
} from './records.ts';

export type * from './records.ts';

/** The database cannot be written or read now (disk full, I/O error, locked): try again later. */
export class StoreUnavailableError extends Error {
  override readonly name = 'StoreUnavailableError';
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
  /**
   * `lastDispatchNumber`: the highest that the instance has taken on. Where the machine's own is below it (the database was restored
   * from a backup) it rises to that: what is below would never be started.
   */
  machineConnected(p: {
    machineId: string;
    runnerInstance: string;
    bootId: string;
    facts: MachineFacts;
    lastDispatchNumber?: number;
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

  /**
   * Deletes up to `limit` finished executions completed before `before`, longest finished first, fewer where they are large;
   * returns how many. They are gone for everybody at once; what they leave is for `clearDeleted`.
   */
  deleteFinished(p: { before: number; limit: number }): Promise<number>;
  /** Clears a small part of what deleted executions left (events, output); false: there was nothing. */
  clearDeleted(): Promise<boolean>;
  /** Bytes in use, and bytes that are free within what the database takes of its disk. */
  size(): Promise<{ usedBytes: number; freeBytes: number }>;
  /** Gives a small part of the free bytes back to the disk; false: there are none that can be given. */
  shrink(): Promise<boolean>;
  /** Forgets expired Idempotency-Keys and spent join tokens; returns how many. */
  forgetExpired(p: { now: number; limit: number }): Promise<number>;
  /** Counts for metrics: executions by status that are not terminal, oldest waiting createdAt, machines by phase. */
  statistics(): Promise<{
    executions: Partial<Record<ExecutionStatus, number>>;
    oldestWaitingAt?: number;
    machines: Partial<Record<Machine['phase'], number>>;
  }>;
}
