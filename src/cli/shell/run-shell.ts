/** Implements `execplane shell`: opens a shell on a machine, at the terminal of this process. */
import type { Execplane, TerminalEnd, TerminalHandle, TerminalOptions, TerminalStream } from '../../client/main.ts';
import { CliError } from '../cli-error.ts';
import { EXECPLANE_FAILED, failureExitCode } from '../exec/exit-code.ts';
import { failureOf } from '../terminal/failure.ts';
import { isHangupIgnored } from '../hangup.ts';
import { printError, writeOutput } from '../streams/output.ts';
import { span } from '../terminal/age.ts';
import { waitWords } from '../terminal/execution-words.ts';
import { type Escape, EscapeReader } from '../terminal/escapes.ts';
import { RawTerminal, terminalSize } from '../terminal/raw-terminal.ts';

export interface ShellRequest {
  machineId: string;
  /** The terminal to attach to. Absent: a new one. */
  attach?: string;
  options: Omit<TerminalOptions, 'width' | 'height'>;
  /** Time to wait for an offline machine, ms. */
  waitMs: number;
}

type TerminalReason = Awaited<ReturnType<TerminalHandle['get']>>['reason'];

const ASK_TIMEOUT_MS = 2000;
const NOTHING_KNOWN = { status: undefined, reason: undefined };
const SIGNALS = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;
/** Exit code after `~.`, which counts as Ctrl-C. */
const LEFT = 130;
/** Time within which an online machine starts a shell, ms. No message is printed within it. */
const SILENT_MS = 1000;
/** Bytes of typed input that may wait before reading of stdin pauses. */
const MAX_TYPED_BYTES = 256 * 1024;
const TYPING_PAUSE_MS = 20;

const HELP = `At the start of a line:
  ~.  closes the shell
  ~d  leaves it running; execplane shell --attach comes back to it
  ~~  sends a tilde
  ~?  shows this`;

/** Runs a shell. Returns its exit code, or 128+N for a signal. Prints its own failures. */
export async function runShell(client: Execplane, request: ShellRequest): Promise<number> {
  try {
    const { machineId, attach, options } = request;
    const machine = client.machine(machineId);
    const handle =
      attach === undefined ? await machine.terminal({ ...options, ...terminalSize() }) : machine.terminal(attach);
    const left = await waitForShell(handle, request);
    return left ?? (await new ShellRun(handle, attach === undefined).untilEnd());
  } catch (error) {
    return failureExitCode(error, undefined);
  }
}

/**
 * Waits for the shell. If the machine is not online in time, or the user leaves, closes a new terminal and returns the exit code.
 */
async function waitForShell(handle: TerminalHandle, { attach, machineId, waitMs }: ShellRequest) {
  const abort = new AbortController();
  const giveUp = async (): Promise<void> => abort.abort(notStarted(await reasonOf(handle)));
  const announce = async (): Promise<void> => {
    const reason = await reasonOf(handle);
    if (reason === undefined || abort.signal.aborted) return;
    printError(`execplane: ${waitWords(reason)}\n`);
    printError(`execplane: waiting ${span(waitMs)} for ${machineId} (--wait)\n`);
  };
  const timers = [setTimeout(() => void giveUp(), waitMs), setTimeout(() => void announce(), SILENT_MS)];
  const signalled = onSignals((code) => abort.abort(code));
  try {
    const { status } = await handle.ready({ signal: abort.signal });
    if (attach === undefined || status === 'ready') return undefined;
    throw new CliError(`the terminal ${handle.terminalId} is ${status}.`, { exitCode: EXECPLANE_FAILED });
  } catch (error) {
    if (abort.signal.aborted && attach === undefined) await handle.close();
    if (typeof abort.signal.reason === 'number') return abort.signal.reason;
    throw error;
  } finally {
    for (const timer of timers) clearTimeout(timer);
    signalled.dispose();
  }
}

/** Returns the reason why the shell waits. Undefined if the server cannot be reached; then the wait itself fails too. */
async function reasonOf(handle: TerminalHandle): Promise<TerminalReason> {
  const signal = AbortSignal.timeout(ASK_TIMEOUT_MS);
  const { status, reason } = await handle.get({ include: ['reason'], signal }).catch(() => NOTHING_KNOWN);
  return status === 'wake_in_progress' ? reason : undefined;
}

function notStarted(reason: TerminalReason): CliError {
  const detail = reason === undefined ? '' : `: ${reason.message}`;
  const hint = 'Wait longer with --wait 10m, or see "execplane machines ls".';
  return new CliError(`no shell was started${detail}.`, { exitCode: EXECPLANE_FAILED, hint });
}

/** A shell whose terminal is that of this process. */
class ShellRun {
  readonly #handle: TerminalHandle;
  readonly #stream: TerminalStream;
  readonly #terminal: RawTerminal;
  readonly #escapes = new EscapeReader();
  readonly #left = Promise.withResolvers<number>();

  constructor(handle: TerminalHandle, isNew: boolean) {
    this.#handle = handle;
    this.#terminal = new RawTerminal((size) => this.#stream.resize(size));
    this.#stream = handle.attach({
      ...(isNew ? { offset: 0 } : {}),
      size: terminalSize(),
      listener: {
        away: (reason) => this.#terminal.say(`${failureOf(reason).message} The shell keeps running; ~. leaves`),
        back: () => this.#back(),
        inputLost: () => this.#terminal.say('the machine is offline: the last input is lost'),
      },
    });
  }

  async untilEnd(): Promise<number> {
    const signalled = onSignals((code) => this.#detach(code));
    process.stdin.on('data', this.#typed);
    try {
      return await Promise.race([this.#show(), this.#left.promise]);
    } finally {
      process.stdin.off('data', this.#typed).pause();
      this.#stream.detach();
      this.#terminal.dispose();
      signalled.dispose();
    }
  }

  async #show(): Promise<number> {
    for await (const bytes of this.#stream) {
      this.#terminal.follow(bytes);
      await writeOutput('stdout', bytes);
    }
    const end = await this.#stream.end;
    // After an escape or a signal the message is printed and the exit code is set already.
    return end.reason === 'detached' ? this.#left.promise : this.#exitCode(end);
  }

  #back(): void {
    if (this.#terminal.isFullScreen) this.#terminal.redraw();
    else this.#terminal.say('the server is back: no output was lost');
  }

  #exitCode({ exitCode, signal, reason }: TerminalEnd): number {
    if (exitCode !== undefined) return exitCode;
    if (signal !== undefined) return 128 + signal;
    throw new CliError(`the shell has ended: ${reason}.`, { exitCode: EXECPLANE_FAILED });
  }

  readonly #typed = (bytes: Buffer): void => {
    for (const item of this.#escapes.read(bytes)) {
      if (typeof item === 'string') this.#obey(item);
      else if (!this.#stream.write(item)) this.#terminal.say('too much input waits: the last input is lost');
    }
    if (this.#stream.unsentBytes < MAX_TYPED_BYTES) return;
    process.stdin.pause();
    setTimeout(() => process.stdin.resume(), TYPING_PAUSE_MS);
  };

  #obey(order: Escape): void {
    if (order === 'help') this.#terminal.say(HELP);
    else if (order === 'detach') this.#detach(0);
    else void this.#close();
  }

  async #close(): Promise<void> {
    this.#terminal.reset();
    try {
      await this.#handle.close();
      this.#terminal.say(`the shell on ${this.#handle.machineId} was closed`);
    } catch (error) {
      this.#terminal.say(`the shell could not be closed: ${failureOf(error as Error).message} ${this.#comeBack()}`);
    }
    this.#left.resolve(LEFT);
  }

  #detach(code: number): void {
    this.#terminal.reset();
    this.#terminal.say(`the shell keeps running. ${this.#comeBack()}`);
    this.#left.resolve(code);
  }

  #comeBack(): string {
    return `Return with:\nexecplane shell ${this.#handle.machineId} --attach ${this.#handle.terminalId}`;
  }
}

/** Calls `left` with the exit code of the signal. An ignored SIGHUP stays ignored. */
function onSignals(left: (code: number) => void): { dispose: () => void } {
  const names = (Object.keys(SIGNALS) as (keyof typeof SIGNALS)[]).filter(
    (name) => name !== 'SIGHUP' || !isHangupIgnored(),
  );
  const listener = (name: NodeJS.Signals): void => left(SIGNALS[name as keyof typeof SIGNALS]);
  for (const name of names) process.on(name, listener);
  return {
    dispose: () => {
      for (const name of names) process.off(name, listener);
    },
  };
}
