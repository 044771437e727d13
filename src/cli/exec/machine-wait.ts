import type { Execplane, ExecutionHandle } from '../../client/main.ts';
import { CliError } from '../cli-error.ts';
import { printError } from '../streams/output.ts';
import { span } from '../terminal/age.ts';
import { waitWords } from '../terminal/execution-words.ts';
import { absence } from '../terminal/machine-words.ts';
import { EXECPLANE_FAILED } from './exit-code.ts';

/** Time within which a command that starts causes no message, ms. */
const SILENT_MS = 1000;
const NOTHING_KNOWN = { status: undefined, reason: undefined };

/** Waits for a machine that is offline or busy, with one message. Cancels the command if the machine is not online in time. */
export class MachineWait {
  readonly #client: Execplane;
  readonly #handle: ExecutionHandle;
  readonly #waitMs: number;
  #timer: NodeJS.Timeout | undefined;
  #queued: NodeJS.Timeout | undefined;
  #absence = 'is offline';
  /** Rejects with the reason to give up. Never settles if the machine comes back. */
  readonly #over = Promise.withResolvers<never>();

  constructor(p: { client: Execplane; handle: ExecutionHandle; waitMs: number }) {
    this.#client = p.client;
    this.#handle = p.handle;
    this.#waitMs = p.waitMs;
    this.#over.promise.catch(() => {});
  }

  /** Rejects when the time to wait has passed. */
  get givenUp(): Promise<never> {
    return this.#over.promise;
  }

  /** The command waits for the machine. */
  begin(): void {
    if (this.#timer !== undefined) return;
    this.#timer = setTimeout(() => void this.#giveUp(), this.#waitMs);
    void this.#announce();
  }

  /** The machine is online, and the command waits there. */
  queued(): void {
    this.end();
    this.#queued = setTimeout(() => void this.#explain(), SILENT_MS);
  }

  /** Ends the wait. */
  end(): void {
    clearTimeout(this.#timer);
    clearTimeout(this.#queued);
  }

  async #announce(): Promise<void> {
    const { machineId } = this.#handle;
    // A key may have the scope to run commands and not to read machines.
    this.#absence = await this.#client.machines.get(machineId).then(absence, () => this.#absence);
    printError(`execplane: ${machineId} ${this.#absence}: waiting ${span(this.#waitMs)} for it (--wait)\n`);
  }

  async #explain(): Promise<void> {
    const { status, reason } = await this.#handle.get({ include: ['reason'] }).catch(() => NOTHING_KNOWN);
    if (status === 'queued' && reason !== undefined) printError(`execplane: ${waitWords(reason)}\n`);
  }

  async #giveUp(): Promise<void> {
    try {
      const { status } = await this.#handle.get();
      if (status !== 'wake_in_progress') return;
      await this.#handle.cancel();
      this.#over.reject(
        new CliError(`${this.#handle.machineId} ${this.#absence}; the command was not run.`, {
          exitCode: EXECPLANE_FAILED,
          hint: 'Wait longer with --wait 10m, or see "execplane machines ls".',
        }),
      );
    } catch (error) {
      this.#over.reject(error);
    }
  }
}
