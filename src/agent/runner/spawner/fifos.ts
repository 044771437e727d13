/** Named pipes, created in advance by mkfifo(1). Unlike Node's own pipes (sockets), a command can open them again by path. */
import { execFileSync } from 'node:child_process';
import { constants, fchownSync, mkdtempSync, openSync, rmSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';

const MADE_AT_ONCE = 32;

/** One pipe. Its name has been removed. */
export interface Fifo {
  /** The runner's end, which never blocks. */
  read: number;
  /** The same end in blocking mode, for the program that drains it after the end. */
  readBlocking: number;
  /** The command's end. */
  write: number;
}

/** Creates named pipes in advance. */
export class FifoSource {
  readonly #directory: string;
  #names: string[] = [];
  #made = 0;

  /** `scratchDir` has to be on a file system with named pipes. Throws if mkfifo(1) does not work. */
  constructor(scratchDir: string) {
    this.#directory = mkdtempSync(join(scratchDir, 'pipes-'));
    this.#refill();
  }

  /** Returns a pipe for a command of user `uid`. */
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
