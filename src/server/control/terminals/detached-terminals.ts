/**
 * Closes terminals that had no client for too long. The store records the time until which a client is attached, so that the time also counts
 * during restarts, and for clients of all servers of a database. A terminal with a client also keeps its machine awake.
 */
import type { Store } from '../../../store/store.ts';
import { Poll } from '../../poll.ts';
import type { TerminalCommands } from './terminal-commands.ts';

/** Bounds on the interval of polls, ms. Between the bounds it is a tenth of the time that a terminal may be without a client. */
const MIN_INTERVAL_MS = 50;
const MAX_INTERVAL_MS = 40_000;
/** Time after each poll for which a client counts as attached, ms: a dead server keeps no machine awake for longer. */
const ATTACHED_MS = 3 * MAX_INTERVAL_MS;
const BATCH = 100;

export interface DetachedTerminalsDeps {
  store: Pick<Store, 'outputRead' | 'listIdleTerminals'>;
  control: Pick<TerminalCommands, 'cancel'>;
  log: { error(fields: object, text: string): void };
  /** ms since the epoch. */
  now: () => number;
  /** A terminal without a client for this long is closed, ms. */
  detachedMs: number;
  /** Ids of the terminals that have a client on this server. */
  attached: () => string[];
}

export class DetachedTerminals {
  readonly #deps: DetachedTerminalsDeps;
  readonly #poll: Poll;

  constructor(deps: DetachedTerminalsDeps) {
    this.#deps = deps;
    this.#poll = new Poll({
      work: () => this.#look(),
      intervalMs: Math.min(MAX_INTERVAL_MS, Math.max(MIN_INTERVAL_MS, deps.detachedMs / 10)),
      failed: (err) => deps.log.error({ err }, 'closing terminals without clients failed; trying again'),
    });
  }

  start(): void {
    this.#poll.start();
  }

  /** Settles when nothing is under way. */
  stop(): Promise<void> {
    return this.#poll.stop();
  }

  /** Records that a client has attached to a terminal. */
  attached(executionId: string): void {
    this.#record(executionId, ATTACHED_MS);
  }

  /** Records that the last client of a terminal on this server has left. */
  detached(executionId: string): void {
    this.#record(executionId, 0);
  }

  #record(executionId: string, ms: number): void {
    if (this.#poll.stopped) return;
    const { store, now, log } = this.#deps;
    store.outputRead({ executionId, until: now() + ms }).catch((err: unknown) => {
      log.error({ err }, 'the time at which a terminal last had a client could not be written; trying again');
    });
  }

  async #look(): Promise<void> {
    const { store, control, now, detachedMs, attached } = this.#deps;
    for (const executionId of attached()) await store.outputRead({ executionId, until: now() + ATTACHED_MS });
    const idle = await store.listIdleTerminals({ idleSince: now() - detachedMs, limit: BATCH });
    for (const { machineId, executionId } of idle) await control.cancel({ machineId, executionId, by: 'detached' });
  }
}
