/** Starts processes of simulated links (simulated-links.ts), and counts the links that are connected. */
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { type Child, endAll, startNode } from './child.ts';

const LINKS = fileURLToPath(new URL('./simulated-links.ts', import.meta.url));

export class Fleet {
  /** Number of starts of each execution, if `saysStarts` was set. */
  readonly starts = new Map<string, number>();
  readonly #processes: Child[] = [];
  /** The connected links of each process. */
  readonly #connected: number[] = [];
  #changed: () => void = () => undefined;

  /**
   * Starts `count` links, which enrol with `token` as `dm-sim-0`, `dm-sim-1` and so on. Each URL has a process of its own for an equal share
   * of them: a process has a limit of open files.
   */
  constructor(urls: string | readonly string[], p: { count: number; token: string; saysStarts?: boolean }) {
    const all = [urls].flat();
    for (const [index, url] of all.entries()) {
      const [first, end] = [index, index + 1].map((share) => Math.floor((share * p.count) / all.length));
      this.#start(index, [url, String(first), String(end)], p);
    }
  }

  /** Settles when `wished` returns true for the number of connected links. */
  reached(wished: (connected: number) => boolean): Promise<void> {
    return new Promise((resolve) => {
      this.#changed = () => {
        if (!wished(this.#connected.reduce((sum, connected) => sum + connected, 0))) return;
        this.#changed = () => undefined;
        resolve();
      };
      this.#changed();
    });
  }

  async stop(): Promise<void> {
    await endAll(this.#processes);
  }

  #start(index: number, args: readonly string[], p: { token: string; saysStarts?: boolean }): void {
    const links = startNode([LINKS, ...args], {
      JOIN_TOKEN: p.token,
      ...(p.saysStarts === true && { SAY_STARTS: 'yes' }),
    });
    this.#processes.push(links);
    this.#connected.push(0);
    createInterface({ input: links.stdout }).on('line', (line) => {
      const [key, value = ''] = line.split(' ');
      if (key === 'started') this.starts.set(value, 1 + (this.starts.get(value) ?? 0));
      else this.#connected[index] = Number(value);
      this.#changed();
    });
  }
}
