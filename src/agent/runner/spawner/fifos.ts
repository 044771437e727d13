/** Named pipes, made ahead of need by mkfifo(1): unlike Node's own pipes (sockets) a command can open them again by path. */
import { execFileSync } from 'node:child_process';
import { constants, fchownSync, mkdtempSync, openSync, rmSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';

const MADE_AT_ONCE = 32;

/** One pipe; its name is gone already. */
export interface Fifo {
  /** Ours, never blocks. */
  read: number;
  /** The same end as a program expects it, for whoever drains it after us. */
  readBlocking: number;
  /** The command's. */
  write: number;
}

export class FifoSource {
  readonly #directory: string;
  #names: string[] = [];
  #made = 0;

  /** `scratchDir` has to be on a file system that knows named pipes. Throws where mkfifo(1) does not work. */
  constructor(scratchDir: string) {
    this.#directory = mkdtempSync(join(scratchDir, 'pipes-'));
    this.#refill();
  }

  /** A pipe for a command of user `uid`. */
  take(owner?: { uid: number; gid: number }): Fifo {
    const name = this.#names.pop() ?? this.#refill();
    const read = openSync(name, constants.O_RDONLY | constants.O_NONBLOCK);
    const write = openSync(name, constants.O_WRONLY);
    const readBlocking = openSync(name, constants.O_RDONLY);
    unlinkSync(name);
    if (owner) fchownSync(write, owner.uid, owner.gid);
    return { read, readBlocking, write };
  }

  close(): void {
    rmSync(this.#directory, { recursive: true, force: true });
  }

  #refill(): string {
    this.#names = Array.from({ length: MADE_AT_ONCE }, () => join(this.#directory, String(++this.#made)));
    execFileSync('mkfifo', ['-m', '600', ...this.#names], { stdio: 'ignore' });
    return this.#names.pop() ?? '';
  }
}
