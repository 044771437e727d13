/**
 * Runs batches: creates one execution for each machine, in order, up to the batch's maximum at a time. The store decides which one is next, so
 * that a restarted server continues the batch. Each execution is created with its own Idempotency-Key, so only once.
 */
import type { Logger } from 'pino';
import { SPENT } from '../../../core/decisions/batch.ts';
import { isTerminal } from '../../../core/execution.ts';
import { LOG_KEY } from '../../../node/log-keys.ts';
import type { Batch, BatchAdvance, BatchMember, BatchStore } from '../../../store/store.ts';
import type { Sealer } from '../../seal.ts';
import type { ControlPlane } from '../control.ts';
import { Poll } from '../../poll.ts';
import { type BatchCommand, commandText, readCommand } from './command-text.ts';

/** Delay after the store could not be used, or a queue was full. */
const RETRY_MS = 1000;

export interface BatchRunnerDeps {
  store: BatchStore;
  sealer: Sealer;
  control: () => Pick<ControlPlane, 'create' | 'cancel' | 'subscribe' | 'tell'>;
  log: Pick<Logger, 'warn'>;
  /** ms since the epoch. */
  now: () => number;
  /** Interval of polls for batches that no hint announced, ms. */
  pollMs: number;
}

/** The executions that may have ended since a batch was advanced. `any`: each of the batch. */
type Among = readonly string[] | 'any';

/** Runs the batches of this server. */
export class BatchRunner {
  readonly #deps: BatchRunnerDeps;
  /** By batch and execution that has not ended: the unsubscriptions. */
  readonly #watched = new Map<string, Map<string, () => void>>();
  /** Batches that are to be advanced. */
  readonly #due = new Map<string, Set<string> | 'any'>();
  /** Batches that are being advanced. */
  readonly #running = new Map<string, Promise<void>>();
  readonly #retries = new Map<string, NodeJS.Timeout>();
  readonly #waits = new Set<{ batchId: string; settle: () => void }>();
  readonly #poll: Poll;
  #stopped = false;

  constructor(deps: BatchRunnerDeps) {
    this.#deps = deps;
    this.#poll = new Poll({
      work: () => this.#look(),
      intervalMs: deps.pollMs,
      failed: (cause) => this.#failed(cause),
    });
  }

  get store(): BatchStore {
    return this.#deps.store;
  }

  /** Continues all unfinished batches that no other server continues, now and in each poll. */
  async start(): Promise<void> {
    await this.#look().catch((cause: unknown) => this.#failed(cause));
    this.#poll.start();
  }

  /** Stops creating executions. Settles when nothing is under way. */
  async stop(): Promise<void> {
    this.#stopped = true;
    const polled = this.#poll.stop();
    for (const timer of this.#retries.values()) clearTimeout(timer);
    for (const wait of [...this.#waits]) wait.settle();
    await polled;
    await Promise.all(this.#running.values());
    for (const batchId of [...this.#watched.keys()]) this.#unwatch(batchId);
  }

  /** Advances a batch that is new or was cancelled, and notifies the other servers. */
  changed(batchId: string): void {
    this.#wake(batchId);
    this.#deps.control().tell({ about: 'batch', batchId });
  }

  /** Handles the hint that another server has changed or ended a batch. */
  changedElsewhere(batchId: string): void {
    this.#wake(batchId);
    this.#recheckWaits(batchId);
  }

  /** Advances a batch, for these executions or for all that it has. */
  #wake(batchId: string, among: Among = 'any'): void {
    if (this.#stopped) return;
    this.#setDue(batchId, among);
    if (this.#running.has(batchId)) return;
    const run = this.#run(batchId).finally(() => {
      this.#running.delete(batchId);
      if (this.#due.has(batchId)) this.#wake(batchId, []);
    });
    this.#running.set(batchId, run);
  }

  #setDue(batchId: string, among: Among): void {
    const due = this.#due.get(batchId) ?? new Set();
    this.#due.set(batchId, among === 'any' ? among : due);
    if (among === 'any' || due === 'any') return;
    for (const executionId of among) due.add(executionId);
  }

  #takeDue(batchId: string): Among | undefined {
    const due = this.#due.get(batchId);
    this.#due.delete(batchId);
    return due instanceof Set ? [...due] : due;
  }

  /** Seals the command of a batch, for the store. */
  async seal(batchId: string, command: BatchCommand): Promise<Buffer> {
    const sealed = await this.#deps.sealer.sealInTurns(batchId, { env: {}, stdin: Buffer.from(commandText(command)) });
    if (sealed === undefined) throw new Error('a batch without a command');
    return sealed;
  }

  /** Settles with the batch when it has ended, or after `waitMs`, or when `signal` aborts. */
  async waitForEnd(batch: Batch, waitMs: number, signal: AbortSignal): Promise<Batch> {
    const over = new Promise<void>((resolve) => {
      const wait = {
        batchId: batch.batchId,
        settle: () => {
          this.#waits.delete(wait);
          clearTimeout(timer);
          signal.removeEventListener('abort', wait.settle);
          resolve();
        },
      };
      const timer = setTimeout(wait.settle, waitMs);
      signal.addEventListener('abort', wait.settle, { once: true });
      this.#waits.add(wait);
      if (signal.aborted || this.#stopped) wait.settle();
    });
    // The batch is watched before it is read, so that an end in between is not missed.
    const latest = await this.#deps.store.getBatch({ batchId: batch.batchId });
    if (latest?.status !== 'running') this.#settleWaits(batch.batchId);
    await over;
    return (await this.#deps.store.getBatch({ batchId: batch.batchId })) ?? batch;
  }

  async #run(batchId: string): Promise<void> {
    try {
      for (let due = this.#takeDue(batchId); due !== undefined && !this.#stopped; due = this.#takeDue(batchId)) {
        const among = due === 'any' ? {} : { among: due };
        const step = await this.#deps.store.advanceBatch({ batchId, ...among, now: this.#deps.now() });
        if (step?.batch.status !== 'running') return this.#over(batchId, step?.batch);
        // Advancing once more finds executions that ended before they were watched.
        const unwatched = step.unfinished.filter(({ executionId }) => this.#watch(batchId, executionId));
        for (const { executionId } of unwatched) this.#setDue(batchId, [executionId]);
        if (step.cancelled) await this.#cancelAll(step);
        if (step.next.length > 0 && !(await this.#make(step))) {
          this.#retryLater(batchId);
          return;
        }
      }
    } catch (cause) {
      this.#deps.log.warn({ err: cause, [LOG_KEY.batchId]: batchId }, 'a batch could not continue; trying again');
      this.#retryLater(batchId);
    }
  }

  /** Stops watching a batch. `batch`: its final state; absent: another server continues it. */
  #over(batchId: string, batch: BatchAdvance['batch'] | undefined): void {
    this.#due.delete(batchId);
    const watched = this.#unwatch(batchId);
    if (batch === undefined) return;
    this.#settleWaits(batchId);
    if (watched) this.#deps.control().tell({ about: 'batch', batchId });
  }

  /** Advances the batch at the end of an execution. Returns false if the execution is watched already. */
  #watch(batchId: string, executionId: string): boolean {
    const watched = this.#watched.get(batchId) ?? new Map<string, () => void>();
    if (watched.has(executionId)) return false;
    const unsubscribe = this.#deps.control().subscribe(executionId, ({ status }) => {
      if (!isTerminal(status)) return;
      unsubscribe();
      watched.delete(executionId);
      this.#wake(batchId, [executionId]);
    });
    this.#watched.set(batchId, watched.set(executionId, unsubscribe));
    return true;
  }

  /** Stops watching the executions of a batch. Returns whether any was watched. */
  #unwatch(batchId: string): boolean {
    for (const unsubscribe of this.#watched.get(batchId)?.values() ?? []) unsubscribe();
    return this.#watched.delete(batchId);
  }

  /** Creates the next executions. Returns false if one has to be tried again later. */
  async #make({ batch, next, sealedRequest }: BatchAdvance): Promise<boolean> {
    const command = this.#open(batch.batchId, sealedRequest);
    for (const member of next) {
      if (this.#stopped || !(await this.#makeOne(batch, member, command))) return false;
    }
    return true;
  }

  async #makeOne(
    { batchId, createdBy }: BatchAdvance['batch'],
    member: BatchMember,
    command: BatchCommand,
  ): Promise<boolean> {
    const { store, control, now } = this.#deps;
    const { position, machineId, idempotency } = member;
    const made = await control().create({
      ...command,
      machineId,
      createdBy,
      idempotency,
      ...(createdBy === 'admin' ? {} : { actor: { apiKeyId: createdBy } }),
    });
    switch (made.outcome) {
      case 'queue_full':
      case 'key_queue_full':
        return false;
      case 'created':
        await this.#record(batchId, position, made.execution.executionId);
        return true;
      case 'replayed':
        // Another server has created it, or it must not be created any more.
        if (made.resource !== SPENT) await this.#record(batchId, position, made.resource);
        return true;
      case 'actor_revoked':
        // A revoked key creates nothing more.
        await store.cancelBatch({ batchId, now: now() });
        this.#setDue(batchId, 'any');
        return true;
      default:
        await store.setBatchMember({ batchId, position, result: { outcome: 'failed' } });
        this.#setDue(batchId, []);
        return true;
    }
  }

  /** Records the execution of a machine, and watches it. It may have ended already. */
  async #record(batchId: string, position: number, executionId: string): Promise<void> {
    this.#watch(batchId, executionId);
    await this.#deps.store.setBatchMember({ batchId, position, result: { executionId } });
    this.#setDue(batchId, [executionId]);
  }

  async #cancelAll({ batch, unfinished }: BatchAdvance): Promise<void> {
    for (const { machineId, executionId } of unfinished) {
      await this.#deps.control().cancel({ machineId, executionId, by: batch.createdBy });
    }
  }

  #open(batchId: string, sealed: Buffer | undefined): BatchCommand {
    return readCommand(this.#deps.sealer.open(batchId, sealed).stdin.toString('utf8'));
  }

  #settleWaits(batchId: string): void {
    for (const wait of [...this.#waits]) if (wait.batchId === batchId) wait.settle();
  }

  /** Settles the waits for batches that have ended: all of them, or those for one batch. */
  #recheckWaits(batchId?: string): void {
    const waitedFor = new Set([...this.#waits].map((wait) => wait.batchId));
    for (const one of waitedFor) {
      if (batchId !== undefined && one !== batchId) continue;
      this.#deps.store.getBatch({ batchId: one }).then(
        (batch) => {
          if (batch?.status !== 'running') this.#settleWaits(one);
        },
        // The next poll tries again.
        () => undefined,
      );
    }
  }

  async #look(): Promise<void> {
    for (const batchId of await this.#deps.store.listRunningBatches()) this.#wake(batchId);
    this.#recheckWaits();
  }

  /** A store that is unavailable may be back at the next poll. */
  #failed(cause: unknown): void {
    this.#deps.log.warn({ err: cause }, 'looking for batches failed; trying again');
  }

  /** Advances the batch again after a pause, and not before it for what it is due for now. */
  #retryLater(batchId: string): void {
    this.#due.delete(batchId);
    if (this.#stopped || this.#retries.has(batchId)) return;
    const timer = setTimeout(() => {
      this.#retries.delete(batchId);
      this.#wake(batchId);
    }, RETRY_MS);
    this.#retries.set(batchId, timer.unref());
  }
}
