/**
 * Enforces deadlines: executions that wait past their expires_at expire, those that run on a machine that is offline for too long are lost,
 * and stream mode ends for output that nobody reads.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { DeadlineStore, Execution, OutputStore } from '../../store/store.ts';
import type { CommitListener } from './live/commit-notifier.ts';
import type { MachineCommands } from './commands/machine-commands.ts';

const BATCH = 500;
const RETRY_MS = 1000;
/** Least time from one search for due executions to the next, ms. A search may read all that wait on a machine: 10,000 in about 2 ms. */
const SEARCH_GAP_MS = 50;
/** Maximum interval between queries of the next expiry, ms: another server may have created the execution, or a clock may have been set. */
const POLL_INTERVAL_MS = 5000;
const MIN_SWEEP_INTERVAL_MS = 50;
const LOST = 'The agent was offline for longer than the server waits: the outcome of the command is not known.';

export interface DeadlineDeps {
  store: DeadlineStore & Pick<OutputStore, 'abandonIdleOutput'>;
  log: Pick<Logger, 'warn'>;
  /** ms since the epoch. */
  now: () => number;
  agentLostAfterMs: number;
  /** Time for which output in stream mode waits for a reader. */
  streamIdleMs: number;
  commits: CommitListener;
  machines: Pick<MachineCommands, 'outputLimited'>;
}

/** Ends executions whose time has passed. Owns its timers. */
export class Deadlines {
  readonly #deps: DeadlineDeps;
  readonly #sweepIntervalMs: number;
  /** Earliest known expires_at of the waiting executions. */
  #due = Number.POSITIVE_INFINITY;
  #expiryTimer: NodeJS.Timeout | undefined;
  #sweepTimer: NodeJS.Timeout | undefined;
  readonly #working = new Set<Promise<void>>();
  #stopped = false;

  constructor(deps: DeadlineDeps) {
    this.#deps = deps;
    const tenth = Math.min(deps.agentLostAfterMs, deps.streamIdleMs) / 10;
    this.#sweepIntervalMs = Math.min(POLL_INTERVAL_MS, Math.max(MIN_SWEEP_INTERVAL_MS, tenth));
  }

  start(): void {
    this.#wakeAt(this.#deps.now());
    this.#sweepLater();
  }

  /** Notes that an execution waits which expires at `expiresAt` (ms since the epoch). */
  waitsUntil(expiresAt: number): void {
    if (expiresAt < this.#due) this.#wakeAt(expiresAt);
  }

  /** Settles when nothing is under way any more. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#expiryTimer);
    clearTimeout(this.#sweepTimer);
    await Promise.allSettled(this.#working);
  }

  #wakeAt(due: number): void {
    this.#due = due;
    clearTimeout(this.#expiryTimer);
    if (this.#stopped) return;
    const sleepMs = Math.min(Math.max(0, due - this.#deps.now()), POLL_INTERVAL_MS);
    this.#expiryTimer = setTimeout(() => this.#work(this.#expire()), sleepMs);
    this.#expiryTimer.unref();
  }

  async #expire(): Promise<void> {
    const { store, commits, log, now } = this.#deps;
    const reached = now() >= this.#due;
    // An execution that is created from here on with an earlier time sets the timer itself.
    this.#due = Number.POSITIVE_INFINITY;
    let next = Number.POSITIVE_INFINITY;
    try {
      if (reached) await inBatches((limit) => store.expireDue({ now: now(), limit }), commits);
      next = (await store.nextExpiry()) ?? Number.POSITIVE_INFINITY;
    } catch (cause) {
      log.warn({ err: cause }, 'ending executions that did not start in time failed; trying again');
      next = now() + RETRY_MS;
    }
    this.#wakeAt(Math.max(Math.min(next, this.#due), reached ? now() + SEARCH_GAP_MS : 0));
  }

  #sweepLater(): void {
    if (this.#stopped) return;
    this.#sweepTimer = setTimeout(
      () => this.#work(this.#sweep().finally(() => this.#sweepLater())),
      this.#sweepIntervalMs,
    );
    this.#sweepTimer.unref();
  }

  /** Ends the executions of lost agents, with one query by index. The store counts from the time at which agents could last reconnect. */
  async #sweep(): Promise<void> {
    const { store, now, agentLostAfterMs, commits } = this.#deps;
    const awaySince = now() - agentLostAfterMs;
    try {
      await inBatches((limit) => store.markAbandonedLost({ awaySince, reason: LOST, now: now(), limit }), commits);
      await this.#abandonIdleOutput();
    } catch (cause) {
      this.#deps.log.warn(
        { err: cause },
        'looking for lost agents, and for output that nobody reads, failed; trying again',
      );
    }
  }

  async #abandonIdleOutput(): Promise<void> {
    const { store, now, streamIdleMs, commits, machines } = this.#deps;
    const idleSince = now() - streamIdleMs;
    for (const execution of await store.abandonIdleOutput({ idleSince, now: now(), limit: BATCH })) {
      commits.committed(execution);
      await machines.outputLimited(execution);
    }
  }

  #work(work: Promise<void>): void {
    this.#working.add(work);
    void work.finally(() => this.#working.delete(work));
  }
}

/** Ends the executions that are due, one batch per turn of the event loop, and notifies the listeners. */
async function inBatches(end: (limit: number) => Promise<Execution[]>, commits: CommitListener): Promise<void> {
  for (;;) {
    const ended = await end(BATCH);
    for (const execution of ended) commits.committed(execution);
    if (ended.length < BATCH) return;
    await nextTurn();
  }
}
