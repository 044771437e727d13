/** Notifies listeners on this server of changes of machines by other servers, at a hint or in the next poll. */
import type { Logger } from 'pino';
import type { Store } from '../../../store/store.ts';
import { Poll } from '../../poll.ts';
import type { MachineFeed } from './machine-feed.ts';

const POLL_INTERVAL_MS = 1000;

export interface MachinesElsewhereDeps {
  store: Pick<Store, 'getMachine'>;
  feed: MachineFeed;
  log: Pick<Logger, 'warn'>;
}

/** Watches the machines that have listeners on this server. */
export class MachinesElsewhere {
  readonly #deps: MachinesElsewhereDeps;
  /** The last notified revision, of machines with listeners. */
  #notified = new Map<string, number>();
  readonly #poll: Poll;

  constructor(deps: MachinesElsewhereDeps) {
    this.#deps = deps;
    this.#poll = new Poll({
      work: () => this.#tellAll(),
      intervalMs: POLL_INTERVAL_MS,
      failed: (cause) => this.#failed(cause),
    });
  }

  start(): void {
    this.#poll.start();
  }

  /** Settles when no read is under way. */
  stop(): Promise<void> {
    return this.#poll.stop();
  }

  /** Handles the hint that another server has changed a machine. */
  changed(machineId: string): void {
    if (this.#poll.stopped || !this.#deps.feed.isWatched(machineId)) return;
    this.#tell(machineId).catch((cause: unknown) => this.#failed(cause));
  }

  async #tell(machineId: string): Promise<void> {
    const machine = await this.#deps.store.getMachine({ machineId });
    if (machine === undefined || machine.revision <= (this.#notified.get(machineId) ?? 0)) return;
    this.#notified.set(machineId, machine.revision);
    this.#deps.feed.publish(machine);
  }

  async #tellAll(): Promise<void> {
    const watched = this.#deps.feed.watched();
    this.#notified = new Map([...this.#notified].filter(([machineId]) => watched.includes(machineId)));
    for (const machineId of watched) await this.#tell(machineId);
  }

  #failed(cause: unknown): void {
    this.#deps.log.warn({ err: cause }, 'reading the machines that clients watch failed; trying again');
  }
}
