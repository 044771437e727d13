import { setTimeout as sleep } from 'node:timers/promises';
import type { Executions } from './executions/executions.ts';
import { killMarked } from './spawner/process-tree.ts';
import type { Spawner, SpawnerEvents } from './spawner/spawner.ts';

const RETRY_MS = 1000;
/** The controllers of the limits: memory, processors, processes. */
const ALL_LIMITS = 3;

/** Keeps a spawner running for the executions, and starts a new one if it is lost. `close` ends that. */
export class SpawnerSupervisor {
  readonly #start: (events: SpawnerEvents) => Promise<Spawner>;
  readonly #executions: Executions;
  readonly #closing = new AbortController();
  #spawner: Spawner | undefined;

  constructor(start: (events: SpawnerEvents) => Promise<Spawner>, executions: Executions) {
    this.#start = start;
    this.#executions = executions;
  }

  /** The features of the spawner here: `terminals`, `limits`. */
  get features(): string[] {
    const limits = this.#spawner?.limits.size === ALL_LIMITS;
    return [...(this.#spawner?.terminals ? ['terminals'] : []), ...(limits ? ['limits'] : [])];
  }

  /** Starts the first spawner. Rejects if that fails. */
  async open(): Promise<void> {
    this.#spawner = await this.#start(this.#executions.events((reason) => void this.#lost(reason)));
    if (this.#closing.signal.aborted) await this.#spawner.close();
    else this.#executions.use(this.#spawner);
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#spawner?.close();
  }

  /** Kills the commands of a lost spawner, whose processes cannot be followed any more, and ends them as lost. */
  async #lost(reason: string): Promise<void> {
    this.#spawner = undefined;
    const lost = this.#executions.loseSpawner();
    const ended = lost.map(async (execution) => {
      await killMarked(execution.log.executionId, execution.log.process).catch(() => {});
      execution.lost(`The process that watched the command died: ${reason}.`);
    });
    await Promise.all([this.#reopen(), ...ended]);
  }

  async #reopen(): Promise<void> {
    const { signal } = this.#closing;
    while (this.#spawner === undefined && !signal.aborted) {
      await this.open().catch(() => sleep(RETRY_MS, undefined, { signal }).catch(() => {}));
    }
  }
}
