/** Puts machines to sleep that have been idle for their autosleep time. The store makes the decision in the transaction. */
import type { Logger } from 'pino';
import type { IdleMachine, Machine } from '../../../store/store.ts';
import type { Lifecycle } from './lifecycle.ts';

const MAX_SWEEP_MS = 10_000;
const MIN_SWEEP_MS = 200;
const PAGE = 500;

type Sightings = Map<string, { activity: string; since: number }>;

export interface AutosleepDeps {
  listIdle: (p: { after: number; limit: number; now: number }) => Promise<{ items: IdleMachine[]; next?: number }>;
  change: Lifecycle['change'];
  /** Time that a machine has to run before it may be put to sleep, ms. */
  minAwakeMs: (machine: Machine) => number;
  log: Pick<Logger, 'warn'>;
  /** ms since the epoch. */
  now: () => number;
}

/** Puts idle machines to sleep. Owns its timer. */
export class Autosleep {
  readonly #deps: AutosleepDeps;
  /** The time since which each machine has been idle, and its activity at that time. */
  #idle: Sightings = new Map();
  #timer: NodeJS.Timeout | undefined;
  #sweeping: Promise<void> | undefined;
  #stopped = false;

  constructor(deps: AutosleepDeps) {
    this.#deps = deps;
  }

  start(): void {
    this.#sweeping = this.#sweep().then((sleepMs) => {
      if (!this.#stopped) this.#timer = setTimeout(() => this.start(), sleepMs).unref();
    });
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    await this.#sweeping;
  }

  /** Examines each idle machine. Returns the time to the next sweep, so that no machine sleeps more than a quarter of its time too late. */
  async #sweep(): Promise<number> {
    let sweepMs = MAX_SWEEP_MS;
    const sightings: Sightings = new Map();
    try {
      let after: number | undefined = 0;
      while (after !== undefined) {
        const now = this.#deps.now();
        const page: { items: IdleMachine[]; next?: number } = await this.#deps.listIdle({ after, limit: PAGE, now });
        for (const idle of page.items) {
          sweepMs = Math.min(sweepMs, (idle.machine.autosleepSeconds * 1000) / 4);
          await this.#consider(idle, sightings);
        }
        after = page.next;
      }
      this.#idle = sightings;
    } catch (cause) {
      this.#deps.log.warn({ err: cause }, 'reading idle machines failed; trying again');
    }
    return Math.max(MIN_SWEEP_MS, sweepMs);
  }

  async #consider({ machine, activity }: IdleMachine, sightings: Sightings): Promise<void> {
    const now = this.#deps.now();
    const before = this.#idle.get(machine.machineId);
    const since = before?.activity === activity ? before.since : now;
    sightings.set(machine.machineId, { activity, since });
    const awakeMs = now - machine.lastTransitionAt;
    if (now - since < machine.autosleepSeconds * 1000 || awakeMs < this.#deps.minAwakeMs(machine)) return;
    await this.#deps.change({
      machineId: machine.machineId,
      request: { type: 'sleep', sleepReason: 'autosleep' },
      // A machine that was changed since it was read stays awake.
      expectedRevision: machine.revision,
    });
  }
}
