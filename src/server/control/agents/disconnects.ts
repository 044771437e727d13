/** Writes down that an agent is away: as soon as the store can be written. If it is back by then, its epoch is another one. */
import type { Store } from '../../../store/store.ts';
import type { AgentRegistry } from './sessions.ts';

const RETRY_MS = 1000;

export class Disconnects {
  readonly #store: Pick<Store, 'machineDisconnected'>;
  readonly #registry: AgentRegistry;
  readonly #now: () => number;
  readonly #failed = new Map<string, number>();
  #retry: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(p: { store: Pick<Store, 'machineDisconnected'>; registry: AgentRegistry; now: () => number }) {
    this.#store = p.store;
    this.#registry = p.registry;
    this.#now = p.now;
  }

  /** The machine's link is gone, and none has taken its place. */
  note(machineId: string, epoch: number): void {
    const write = this.#store.machineDisconnected({ machineId, epoch, now: this.#now() });
    this.#registry.track(machineId, write).catch(() => this.#retryLater(machineId, epoch));
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#retry);
  }

  #retryLater(machineId: string, epoch: number): void {
    if (this.#closed) return;
    this.#failed.set(machineId, epoch);
    this.#retry ??= setTimeout(() => {
      this.#retry = undefined;
      const failed = [...this.#failed];
      this.#failed.clear();
      for (const [id, ofConnection] of failed) this.note(id, ofConnection);
    }, RETRY_MS);
  }
}
