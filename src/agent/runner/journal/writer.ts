import type { Journal } from './journal.ts';

export interface WriterOptions {
  journal: Journal;
  /** After a write that failed. */
  retryMs: number;
  /** What had been added is on disk now. */
  onWritten: () => void;
  /** Whether output has to wait (`blocked`: quota or disk), and whether the disk takes nothing (`failing`). */
  onState: (state: WriterState) => void;
}

export interface WriterState {
  blocked: boolean;
  failing: boolean;
}

/** Writes the journal once in each turn of the event loop in which something was added; goes on by itself after a full disk. */
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

  /** There is something to write, or to do after a write, in this turn. */
  schedule(): void {
    if (this.#retry === undefined) this.#immediate ??= setImmediate(this.write);
  }

  /** Writes now. Why it fails does not matter: a full disk, a quota and a broken one all mean keep it and try again. */
  readonly write = (): void => {
    this.stop();
    let failing = false;
    try {
      this.#options.journal.flush();
    } catch {
      failing = true;
      this.#retry = setTimeout(this.write, this.#options.retryMs);
    }
    this.#enter({ failing, blocked: failing || this.#options.journal.full });
    if (!failing) this.#options.onWritten();
  };

  /** Nothing is written any more unless asked for. */
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
