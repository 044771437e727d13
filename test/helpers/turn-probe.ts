/** Measures turns of the event loop in CPU time, so that the load of the machine does not affect the result. */
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

  /** Stops measuring. Returns the CPU time of the longest turn and of all turns since `start`, µs. */
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
