import type { Journal } from './journal.ts';

export interface WriterOptions {
  journal: Journal;
  /** Delay after a write that failed. */
  retryMs: number;
  /** Called before each write: the last moment for additions. */
  onWrite: () => void;
  /** Called when the additions are on disk. */
  onWritten: () => void;
  /** Called after a write that failed: earlier additions, which are on disk, can be sent and acknowledged, which frees room. */
  onFailed: () => void;
  /** Called with a changed state: whether output has to wait (`blocked`: quota or disk), and whether writes fail (`failing`). */
  onState: (state: WriterState) => void;
}

export interface WriterState {
  blocked: boolean;
  failing: boolean;
}

/** Writes the journal once in each turn of the event loop with additions. Continues by itself after a full disk. */
export class JournalWriter {
  readonly #options: WriterOptions;
  #immediate: NodeJS.Immediate | undefined;
  #retry: NodeJS.Timeout | undefined;
  #state: WriterState = { blocked: false, failing: false };

  constructor(options: WriterOptions) {
    this.#options = options;
  }

  get state(): WriterState {
    return this.#state;
  }

  /** Requests a write, or the work after a write, in this turn. */
  schedule(): void {
    if (this.#retry === undefined) this.#immediate ??= setImmediate(this.write);
  }

  /** Writes now. After any failure (full disk, quota, faulty disk) the records are kept and the write is repeated. */
  readonly write = (): void => {
    this.stop();
    let failing = false;
    this.#options.onWrite();
    try {
      this.#options.journal.flush();
    } catch {
      failing = true;
      this.#retry = setTimeout(this.write, this.#options.retryMs);
    }
    this.#enter({ failing, blocked: failing || this.#options.journal.full });
    if (failing) this.#options.onFailed();
    else this.#options.onWritten();
  };

  /** Stops writing, except for explicit calls. */
  stop(): void {
    clearImmediate(this.#immediate);
    clearTimeout(this.#retry);
    this.#immediate = undefined;
    this.#retry = undefined;
  }

  #enter(state: WriterState): void {
    const before = this.#state;
    if (state.blocked === before.blocked && state.failing === before.failing) return;
    this.#state = state;
    this.#options.onState(state);
  }
}
