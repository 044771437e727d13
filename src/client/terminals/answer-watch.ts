/** Notices that a connection is dead although nothing closed it, such as after a change of networks. */

/** The interval between two looks at the connection, ms. */
const INTERVAL_MS = 1500;
/** The number of looks without a sign of life after which an idle connection is asked for one: 15 s. */
const IDLE_LOOKS = 10;
/** The number of unanswered pings after which the connection is dead. */
const MAX_UNANSWERED = 3;

export interface AnswerWatchDeps {
  /** `due`: the other side owes an answer. `idle`: it owes none. `mute`: it does not answer pings. */
  state: () => 'due' | 'idle' | 'mute';
  /** Asks for an answer at once. */
  ping: () => void;
  dead: () => void;
}

/** Watches a connection: within 6 s while an answer is due, otherwise within 20 s. It counts looks, not time: a computer that slept has not waited. */
export class AnswerWatch {
  readonly #deps: AnswerWatchDeps;
  readonly #timer: ReturnType<typeof setInterval>;
  #silentLooks = 0;
  #unanswered = 0;

  constructor(deps: AnswerWatchDeps) {
    this.#deps = deps;
    this.#timer = setInterval(() => this.#look(), INTERVAL_MS);
  }

  /** Anything was received. */
  heard(): void {
    this.#silentLooks = 0;
    this.#unanswered = 0;
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #look(): void {
    const { state, ping, dead } = this.#deps;
    const now = state();
    this.#silentLooks += 1;
    if (now === 'mute' || (now === 'idle' && this.#silentLooks < IDLE_LOOKS)) {
      this.#unanswered = 0;
    } else if (this.#unanswered >= MAX_UNANSWERED) {
      dead();
    } else {
      this.#unanswered += 1;
      ping();
    }
  }
}
