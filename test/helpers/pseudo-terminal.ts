/** Runs the CLI on a pseudo-terminal, which a Python program opens. */
import { type ChildProcessWithoutNullStreams, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { constants } from 'node:os';
import { join } from 'node:path';
import { baseEnv, MAIN, type ServerUnderTest } from './harness.ts';

const FIXTURE = join(import.meta.dirname, '../fixtures/on-pty.py');

export const hasPython = spawnSync('python3', ['-c', 'import pty']).status === 0;

export interface PtyExit {
  code: number;
  /** Whether the modes of the terminal are restored. */
  restored: boolean;
}

export class PseudoTerminal {
  readonly exited: Promise<PtyExit>;
  readonly #child: ChildProcessWithoutNullStreams;
  #shown = '';
  #reported = '';
  /** The position up to which the output was awaited. */
  #seen = 0;

  /** Runs `execplane ARGS` on a pseudo-terminal of 100 columns and 30 rows. */
  constructor(server: Pick<ServerUnderTest, 'url' | 'key'>, args: readonly string[]) {
    const env = baseEnv({ EXECPLANE_URL: server.url, EXECPLANE_API_KEY: server.key });
    this.#child = spawn('python3', [FIXTURE, '100', '30', process.execPath, MAIN, ...args], { env });
    this.#child.stdout.setEncoding('utf8').on('data', (text: string) => {
      this.#shown += text;
    });
    this.#child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#reported += text;
    });
    this.#child.stdin.on('error', () => {}); // the Python program has exited
    this.exited = once(this.#child, 'close').then(() => {
      try {
        return JSON.parse(this.#reported.trim().split('\n').at(-1) ?? '') as PtyExit;
      } catch (cause) {
        throw new Error(`the fixture failed: ${this.#reported}`, { cause });
      }
    });
    this.exited.catch(() => {});
  }

  /** The whole output so far. */
  get shown(): string {
    return this.#shown;
  }

  type(text: string): void {
    this.#order({ type: text });
  }

  resize(columns: number, rows: number): void {
    this.#order({ resize: [columns, rows] });
  }

  signal(name: NodeJS.Signals): void {
    this.#order({ signal: constants.signals[name] });
  }

  /** Waits until `wanted` is in the output after the last awaited text. Rejects if the program ends before. */
  async shows(wanted: string): Promise<void> {
    const find = (): boolean => {
      const at = this.#shown.indexOf(wanted, this.#seen);
      if (at >= 0) this.#seen = at + wanted.length;
      return at >= 0;
    };
    const ended = once(this.#child, 'close').then(() => {
      if (!find()) throw new Error(`it ended without ${JSON.stringify(wanted)}: ${this.#shown}${this.#reported}`);
    });
    ended.catch(() => {});
    while (!find()) await Promise.race([once(this.#child.stdout, 'data'), ended]);
  }

  /** Kills the program if it is still running. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.stdin.end();
    await this.exited.catch(() => undefined);
  }

  #order(order: object): void {
    this.#child.stdin.write(`${JSON.stringify(order)}\n`);
  }
}
