const MAX_GAPS = 10_000;

/** Executions whose reports had a gap. A reconnected agent fills a gap, unless it has dropped the missing reports. */
export class ReportGaps {
  readonly #seen = new Set<string>();

  /** Records a gap. Returns true for the second gap of an execution: it will never be filled. */
  again(executionId: string): boolean {
    if (this.#seen.delete(executionId)) return true;
    this.#seen.add(executionId);
    const [oldest] = this.#seen;
    if (this.#seen.size > MAX_GAPS && oldest !== undefined) this.#seen.delete(oldest);
    return false;
  }

  /** Records that the reports of an execution continue without a gap. */
  filled(executionId: string): void {
    this.#seen.delete(executionId);
  }
}
