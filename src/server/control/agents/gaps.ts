/** Executions whose reports had a gap: an agent that comes back fills it, unless it has dropped what the store lacks. */
const REMEMBERED = 10_000;

export class Gaps {
  readonly #seen = new Set<string>();

  /** Notes a gap; true for the second one of an execution: it will never be filled. */
  again(executionId: string): boolean {
    if (this.#seen.delete(executionId)) return true;
    this.#seen.add(executionId);
    if (this.#seen.size <= REMEMBERED) return false;
    for (const oldest of this.#seen) {
      this.#seen.delete(oldest);
      break;
    }
    return false;
  }

  /** Its reports go on: there is no gap any more. */
  filled(executionId: string): void {
    this.#seen.delete(executionId);
  }
}
