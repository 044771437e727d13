/** Starts a process of simulated links (simulated-links.ts), and counts those that are connected. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const LINKS = fileURLToPath(new URL('./simulated-links.ts', import.meta.url));

export class Fleet {
  /** Number of starts of each execution, if `saysStarts` was set. */
  readonly starts = new Map<string, number>();
  readonly #process: ChildProcess;
  #connected = 0;
  #changed: () => void = () => undefined;

  /** Starts `count` links, which enrol with `token` as `dm-sim-0`, `dm-sim-1` and so on. */
  constructor(url: string, p: { count: number; token: string; saysStarts?: boolean }) {
    this.#process = spawn(process.execPath, [LINKS, url, String(p.count)], {
      env: { ...process.env, JOIN_TOKEN: p.token, ...(p.saysStarts === true && { SAY_STARTS: 'yes' }) },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    process.once('exit', () => this.#process.kill('SIGKILL'));
    if (this.#process.stdout === null) throw new Error('no stdout');
    createInterface({ input: this.#process.stdout }).on('line', (line) => {
      const [key, value = ''] = line.split(' ');
      if (key === 'started') this.starts.set(value, 1 + (this.starts.get(value) ?? 0));
      else this.#connected = Number(value);
      this.#changed();
    });
  }

  /** Settles when `wished` returns true for the number of connected links. */
  reached(wished: (connected: number) => boolean): Promise<void> {
    return new Promise((resolve) => {
      this.#changed = () => {
        if (!wished(this.#connected)) return;
        this.#changed = () => undefined;
        resolve();
      };
      this.#changed();
    });
  }

  async stop(): Promise<void> {
    this.#process.kill('SIGTERM');
    if (this.#process.exitCode === null) await once(this.#process, 'exit');
  }
}
