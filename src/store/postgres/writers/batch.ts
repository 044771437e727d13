/**
 * The state on which a batch of use cases works: the rows that they need, loaded and locked, and their changes, which are written in one
 * flush.
 */
import { isDeepStrictEqual } from 'node:util';
import type {
  ExecutionChange,
  ExecutionRecord,
  LogEntry,
  OutputTail,
  StreamedChunk,
} from '../../../core/decisions/execution-draft.ts';
import { type MachineQueue, type NewRecord, queueAfter } from '../../../core/decisions/queue.ts';
import { type BoundKey, mayAct, replayOf } from '../../../core/decisions/retries.ts';
import { isTerminal, type NewExecution } from '../../../core/execution.ts';
import type { Actor, Artifact, Idempotency, Replay } from '../../store.ts';
import type { Transaction } from '../../transactions/transaction.ts';
import { BatchArtifacts, type LoadedArtifacts } from './batch-artifacts.ts';
import { BatchMachines, type LoadedMachines } from './batch-machines.ts';
import type { Reused } from './known-rows.ts';
import { keyOf } from './needs.ts';

/** The loaded rows. */
export interface Loaded extends LoadedMachines, LoadedArtifacts {
  actors: ReadonlyMap<string, { revokedAt?: number; expiresAt?: number }>;
  /** By `keyOf`. `isTrial`: inserted by this transaction, so the key was free. */
  keys: ReadonlyMap<string, { bound: BoundKey; isTrial: boolean }>;
  records: readonly ExecutionRecord[];
  /** Rows that were not read: the flush checks that they have not changed. */
  reused: Reused | undefined;
  inputs: ReadonlyMap<number, Buffer>;
  /** Keys of waiting executions that may have been dispatched. */
  doubtful: ReadonlySet<number>;
  /** Keys for new executions. */
  freshExecutionKeys: readonly number[];
}

/** The state of an execution in this batch. */
export interface Touched {
  record: ExecutionRecord;
  entries: LogEntry[];
  streamed: StreamedChunk[];
  tails: OutputTail[];
  /** Present if it is new: the request. */
  newExecution?: NewExecution;
  changed: boolean;
  /** Bytes of its streams were released. */
  releases: boolean;
  ended: boolean;
  /** Present if it was not read: the id of the transaction that wrote it last. */
  writtenBy?: bigint;
}

export interface TouchedKey {
  apiKeyId: string;
  key: string;
  /** The resource that the key is bound to at the end. Undefined: the key is free. */
  bound?: BoundKey;
  /** Its row, if this transaction has written that on trial. */
  trial?: BoundKey;
  changed: boolean;
}

/** The transaction of a batch of use cases, in memory between its load and its flush. */
export class Batch implements Transaction {
  readonly executions = new Map<string, Touched>();
  readonly keys = new Map<string, TouchedKey>();
  readonly machines: BatchMachines;
  readonly artifacts: BatchArtifacts;
  readonly #actors: Loaded['actors'];
  readonly #inputs: Loaded['inputs'];
  readonly #doubtful: Loaded['doubtful'];
  readonly #freshKeys: number[];

  constructor(loaded: Loaded) {
    this.machines = new BatchMachines(loaded);
    this.artifacts = new BatchArtifacts(loaded);
    this.#actors = loaded.actors;
    this.#inputs = loaded.inputs;
    this.#doubtful = loaded.doubtful;
    this.#freshKeys = [...loaded.freshExecutionKeys];
    const untouched = { changed: false, releases: false, ended: false };
    for (const known of [...loaded.records.map((record) => ({ record })), ...(loaded.reused?.executions ?? [])]) {
      const touched = { ...known, ...untouched, entries: [], streamed: [], tails: [] };
      this.executions.set(known.record.execution.executionId, touched);
    }
    for (const [name, { bound, isTrial }] of loaded.keys) {
      const [apiKeyId = '', key = ''] = name.split(/ (.*)/s);
      // A key inserted on trial is free until a use case binds it. Otherwise the flush deletes it.
      this.keys.set(
        name,
        isTrial ? { apiKeyId, key, trial: bound, changed: true } : { apiKeyId, key, bound, changed: false },
      );
    }
  }

  mayAct(actor: Actor | undefined, now: number): boolean {
    return actor === undefined || mayAct(this.#actors.get(actor.apiKeyId), now);
  }

  replay(idempotency: Idempotency | undefined, now: number): Replay | undefined {
    return idempotency && replayOf(this.keys.get(keyOf(idempotency))?.bound, idempotency, now);
  }

  bind(idempotency: Idempotency | undefined, resource: string): void {
    if (idempotency === undefined) return;
    const { apiKeyId, key, digest, expiresAt } = idempotency;
    const bound = { digest, resource, expiresAt };
    const trial = this.keys.get(keyOf(idempotency))?.trial;
    // The first use case of a key finds its row as it would write it.
    const changed = trial === undefined || !isDeepStrictEqual(trial, bound);
    this.keys.set(keyOf(idempotency), { apiKeyId, key, bound, changed });
  }

  queue(machineId: string): MachineQueue | undefined {
    return this.machines.queue(machineId);
  }

  insert({ entry, ...record }: NewRecord, newExecution: NewExecution, queue: MachineQueue): void {
    const key = this.#freshKeys.shift();
    if (key === undefined) throw new Error('no key was loaded for a new execution');
    if (this.executions.has(newExecution.executionId))
      throw new Error(`there is an execution ${newExecution.executionId}`);
    const touched: Touched = {
      record: { ...record, key },
      entries: [entry],
      streamed: [],
      tails: [],
      newExecution,
      changed: true,
      releases: false,
      ended: false,
    };
    this.executions.set(newExecution.executionId, touched);
    this.machines.setQueue(queue);
  }

  execution(executionId: string): ExecutionRecord | undefined {
    return this.executions.get(executionId)?.record;
  }

  sealedInput({ key, execution }: ExecutionRecord): Buffer | undefined {
    return this.#inputs.get(key) ?? this.executions.get(execution.executionId)?.newExecution?.sealedInput;
  }

  save(change: ExecutionChange): void {
    const touched = this.executions.get(change.after.execution.executionId);
    if (touched === undefined) throw new Error('an execution was saved that was not loaded');
    touched.record = change.after;
    touched.entries.push(...change.entries);
    touched.streamed.push(...change.streamed);
    touched.tails.push(...change.tails);
    touched.changed = true;
    touched.releases ||= change.releases;
    touched.ended ||= change.ended;
    const { machineKey, execution } = change.after;
    this.artifacts.apply({ machineKey, executionId: execution.executionId }, change.artifacts);
    if (change.waiting !== 0) this.machines.setQueue(queueAfter(this.machines.queueByKey(machineKey), change));
  }

  artifact(artifactId: string): Artifact | undefined {
    return this.artifacts.find(artifactId);
  }

  artifactBytes(): number {
    return this.artifacts.totalBytes;
  }

  expiredArtifacts({ now, limit }: { now: number; limit: number }): Artifact[] {
    return this.artifacts.expired(now, limit);
  }

  dropArtifact(artifactId: string): void {
    this.artifacts.drop(artifactId);
  }

  removeArtifact(artifactId: string, at: number): void {
    this.artifacts.remove(artifactId, at);
  }

  forgetDeletedArtifacts(before: number): void {
    this.artifacts.forgetDeleted(before);
  }

  claimable({ machineId, now, limit }: { machineId: string; now: number; limit: number }): ExecutionRecord[] {
    return this.#oldest(limit, ({ execution }) => {
      const { status, dispatchedTo, expiresAt } = execution;
      return execution.machineId === machineId && status === 'queued' && dispatchedTo === undefined && expiresAt > now;
    });
  }

  waking({ machineId, limit }: { machineId: string; limit: number }): ExecutionRecord[] {
    return this.#oldest(
      limit,
      ({ execution }) => execution.machineId === machineId && execution.status === 'wake_in_progress',
    );
  }

  unfinished(machineKey: number): ExecutionRecord[] {
    return this.#oldest(Number.POSITIVE_INFINITY, (record) => record.machineKey === machineKey);
  }

  /** The waiting executions of the machine whose dispatch the database may have lost. */
  doubtful(machineId: string): ExecutionRecord[] {
    return this.#oldest(Number.POSITIVE_INFINITY, ({ key, execution }) => {
      const waits = execution.dispatchedTo === undefined && execution.machineId === machineId;
      return waits && this.#doubtful.has(key);
    });
  }

  #oldest(limit: number, fits: (record: ExecutionRecord) => boolean): ExecutionRecord[] {
    return [...this.executions.values()]
      .map(({ record }) => record)
      .filter((record) => !isTerminal(record.execution.status) && fits(record))
      .sort((a, b) => a.key - b.key)
      .slice(0, limit);
  }
}
