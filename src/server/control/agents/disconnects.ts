/** Writes down that an agent is away: as soon as the store can be written, unless it is back by then. */
import type { Store } from '../../../store/store.ts';
import type { AgentRegistry } from './sessions.ts';

const RETRY_MS = 1000;

export class Disconnects {
  readonly #store: Pick<Store, 'machineDisconnected'>;
  readonly #registry: AgentRegistry;
  readonly #now: () => number;
  readonly #failed = new Set<string>();
  #retry: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(p: { store: Pick<Store, 'machineDisconnected'>; registry: AgentRegistry; now: () => number }) {
    this.#store = p.store;
    this.#registry = p.registry;
    this.#now = p.now;
  }

  /** The machine's link is gone, and none has taken its place. */
  note(machineId: string): void {
    const write = this.#store.machineDisconnected({ machineId, now: this.#now() });
    this.#registry.track(machineId, write).catch(() => this.#retryLater(machineId));
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#retry);
  }

  #retryLater(machineId: string): void {
    if (this.#closed) return;
    this.#failed.add(machineId);
    this.#retry ??= setTimeout(() => {
      this.#retry = undefined;
      const away = [...this.#failed].filter((id) => this.#registry.get(id) === undefined);
      this.#failed.clear();
      for (const id of away) this.note(id);
    }, RETRY_MS);
  }
}
