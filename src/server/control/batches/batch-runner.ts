/**
 * Runs batches: makes one execution for each machine, in order, as many at once as the batch allows. What is to be made next is the
 * store's to say, so that a server that starts goes on where the last one stopped; each is made under a key of its own, once.
 */
import type { Logger } from 'pino';
import { isTerminal } from '../../../core/execution.ts';
import { LOG_KEY } from '../../../node/log-keys.ts';
import type { Batch, BatchAdvance, BatchMember, BatchStore, Execution } from '../../../store/store.ts';
import type { Sealer } from '../../seal.ts';
import type { ControlPlane } from '../control.ts';
import type { ExecutionObserver } from '../execution-observer.ts';
import { type BatchCommand, commandText, readCommand } from './command-text.ts';

/** After the store could not be used, or a queue was full. */
const RETRY_MS = 1000;
/** For how long an execution that was made is known by its key. */
const KEY_LIFE_MS = 30 * 86_400_000;
const DIGEST = Buffer.from('batch');

export interface BatchRunnerDeps {
  store: BatchStore;
  sealer: Sealer;
  control: () => Pick<ControlPlane, 'create' | 'cancel'>;
  log: Pick<Logger, 'warn'>;
  /** ms since the epoch. */
  now: () => number;
}

export class BatchRunner implements Pick<ExecutionObserver, 'committed'> {
  readonly #deps: BatchRunnerDeps;
  readonly #ofExecution = new Map<string, string>();
  /** Batches at work, and whether to look again when that is done. */
  readonly #stepping = new Map<string, { again: boolean; done: Promise<void> }>();
  readonly #retries = new Map<string, NodeJS.Timeout>();
  readonly #waits = new Set<{ batchId: string; settle: () => void }>();
  #stopped = false;

  constructor(deps: BatchRunnerDeps) {
    this.#deps = deps;
  }

  get store(): BatchStore {
    return this.#deps.store;
  }

  /** Goes on with all that are not over. */
  async start(): Promise<void> {
    for (const batchId of await this.#deps.store.listRunningBatches()) this.wake(batchId);
  }

  /** Makes no more executions; settles when nothing is under way. */
  async stop(): Promise<void> {
    this.#stopped = true;
    for (const timer of this.#retries.values()) clearTimeout(timer);
    for (const wait of [...this.#waits]) wait.settle();
    await Promise.all([...this.#stepping.values()].map(({ done }) => done));
  }

  /** An execution that ends leaves its place to the next. */
  committed({ executionId, status }: Execution): void {
    const batchId = isTerminal(status) ? this.#ofExecution.get(executionId) : undefined;
    if (batchId === undefined) return;
    this.#ofExecution.delete(executionId);
    this.wake(batchId);
  }

  /** Looks at the batch: it is new, was cancelled, or one of its executions has ended. */
  wake(batchId: string): void {
    if (this.#stopped) return;
    const stepping = this.#stepping.get(batchId);
    if (stepping !== undefined) {
      stepping.again = true;
      return;
    }
    const state = { again: false, done: Promise.resolve() };
    this.#stepping.set(batchId, state);
    state.done = this.#run(batchId).finally(() => {
      this.#stepping.delete(batchId);
      if (state.again) this.wake(batchId);
    });
  }

  /** Seals what the machines of a batch are to run. */
  seal(batchId: string, command: BatchCommand): Buffer {
    const sealed = this.#deps.sealer.seal(batchId, { env: {}, stdin: Buffer.from(commandText(command)) });
    if (sealed === undefined) throw new Error('a batch without a command');
    return sealed;
  }

  /** Settles with the batch when it is over, or as it is after `waitMs`, or when `signal` aborts. */
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
    // Watched before it is read: an end in between is not missed.
    const latest = await this.#deps.store.getBatch({ batchId: batch.batchId });
    if (latest?.status !== 'running') this.#settleWaits(batch.batchId);
    await over;
    return (await this.#deps.store.getBatch({ batchId: batch.batchId })) ?? batch;
  }

  async #run(batchId: string): Promise<void> {
    try {
      for (;;) {
        const step = await this.#deps.store.advanceBatch({ batchId, now: this.#deps.now() });
        if (step === undefined) return;
        for (const { executionId } of step.unfinished) this.#ofExecution.set(executionId, batchId);
        if (step.batch.status !== 'running') this.#settleWaits(batchId);
        if (step.cancelled) await this.#cancelAll(step);
        if (step.next.length === 0 || this.#stopped) return;
        if (!(await this.#make(step))) {
          this.#retryLater(batchId);
          return;
        }
      }
    } catch (cause) {
      this.#deps.log.warn({ err: cause, [LOG_KEY.batchId]: batchId }, 'a batch cannot go on; it is tried again');
      this.#retryLater(batchId);
    }
  }

  /** Makes the executions that are next; false where one has to be tried again later. */
  async #make({ batch, next, sealedRequest }: BatchAdvance): Promise<boolean> {
    const command = this.#open(batch.batchId, sealedRequest);
    for (const member of next) {
      if (this.#stopped || !(await this.#makeOne(batch, member, command))) return false;
    }
    return true;
  }

  async #makeOne({ batchId, createdBy }: Batch, member: BatchMember, command: BatchCommand): Promise<boolean> {
    const { store, control, now } = this.#deps;
    const { position, machineId } = member;
    const key = { apiKeyId: `batch:${batchId}`, key: String(position), digest: DIGEST, expiresAt: now() + KEY_LIFE_MS };
    const made = await control().create({
      ...command,
      machineId,
      createdBy,
      idempotency: key,
      ...(createdBy === 'admin' ? {} : { actor: { apiKeyId: createdBy } }),
    });
    switch (made.outcome) {
      case 'queue_full':
        return false;
      case 'created': {
        const { executionId, status } = made.execution;
        this.#ofExecution.set(executionId, batchId);
        await store.setBatchMember({ batchId, position, result: { executionId } });
        if (isTerminal(status)) this.wake(batchId);
        return true;
      }
      case 'replayed':
        await store.setBatchMember({ batchId, position, result: { executionId: made.resource } });
        return true;
      case 'actor_revoked':
        // A revoked key does nothing more.
        await store.cancelBatch({ batchId, now: now() });
        return true;
      default:
        await store.setBatchMember({ batchId, position, result: { outcome: 'failed' } });
        return true;
    }
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

  #retryLater(batchId: string): void {
    if (this.#stopped || this.#retries.has(batchId)) return;
    const timer = setTimeout(() => {
      this.#retries.delete(batchId);
      this.wake(batchId);
    }, RETRY_MS);
    this.#retries.set(batchId, timer.unref());
  }
}
