/** One timer for the heartbeats of all connections: a wheel whose slots are visited in turn, each once an interval. */
export interface Beating {
  /** Called once an interval. */
  beat(): void;
}

const SLOTS = 32;

/** Owns the timer of all heartbeats. */
export class HeartbeatWheel {
  readonly #slots: Set<Beating>[] = Array.from({ length: SLOTS }, () => new Set());
  readonly #timer: NodeJS.Timeout;
  #visiting = 0;
  #filling = 0;

  /** Visits every slot once in `intervalMs`. */
  constructor(intervalMs: number) {
    this.#timer = setInterval(() => this.#visit(), intervalMs / SLOTS);
    this.#timer.unref();
  }

  /** Adds to the slots in turn, so that thousands of simultaneous connections do not beat at the same time. Returns the removal. */
  add(beating: Beating): () => void {
    this.#filling = (this.#filling + 1) % SLOTS;
    const slot = this.#slots[this.#filling] as Set<Beating>;
    slot.add(beating);
    return () => slot.delete(beating);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #visit(): void {
    this.#visiting = (this.#visiting + 1) % SLOTS;
    for (const beating of [...(this.#slots[this.#visiting] as Set<Beating>)]) beating.beat();
  }
}
