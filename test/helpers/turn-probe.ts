/** Measures the turns of the event loop in CPU time, so that a busy machine does not count. */
export class TurnProbe {
  #longest = 0;
  #total = 0;
  #before = process.threadCpuUsage();
  #timer: NodeJS.Immediate | undefined;

  start(): void {
    this.#before = process.threadCpuUsage();
    const look = (): void => {
      this.#count();
      this.#timer = setImmediate(look);
    };
    this.#timer = setImmediate(look);
  }

  /** The longest turn since `start`, and all together, in µs. */
  stop(): { longest: number; total: number } {
    clearImmediate(this.#timer);
    this.#count();
    return { longest: this.#longest, total: this.#total };
  }

  #count(): void {
    const { user, system } = process.threadCpuUsage(this.#before);
    this.#before = process.threadCpuUsage();
    this.#longest = Math.max(this.#longest, user + system);
    this.#total += user + system;
  }
}
