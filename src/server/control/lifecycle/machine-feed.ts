/** Notifies listeners of the changes of one or all machines, in the order of the commits. */
import type { Machine } from '../../../store/store.ts';

type Listener = (machine: Machine) => void;

/** Notifies listeners of the changes of machines. */
export class MachineFeed {
  readonly #ofOne = new Map<string, Set<Listener>>();
  readonly #ofAll = new Set<Listener>();

  /** Notifies every listener. Call it after the commit. */
  readonly publish = (machine: Machine): void => {
    for (const listener of this.#ofAll) listener(machine);
    for (const listener of this.#ofOne.get(machine.machineId) ?? []) listener(machine);
  };

  /** Like `publish`, and also notifies listeners on other servers. */
  publisher(tell: (machineId: string) => void): (machine: Machine) => void {
    return (machine) => {
      this.publish(machine);
      tell(machine.machineId);
    };
  }

  /** Calls `listener` for each change of the machine. Returns the unsubscription. */
  watch(machineId: string, listener: Listener): () => void {
    const listeners = this.#ofOne.get(machineId) ?? new Set();
    this.#ofOne.set(machineId, listeners.add(listener));
    return () => {
      listeners.delete(listener);
      if (listeners.size === 0 && this.#ofOne.get(machineId) === listeners) this.#ofOne.delete(machineId);
    };
  }

  isWatched(machineId: string): boolean {
    return this.#ofOne.has(machineId);
  }

  /** Ids of the machines with listeners of their own. */
  watched(): string[] {
    return [...this.#ofOne.keys()];
  }

  /** Calls `listener` for each change of any machine. Returns the unsubscription. */
  watchAll(listener: Listener): () => void {
    this.#ofAll.add(listener);
    return () => void this.#ofAll.delete(listener);
  }
}
