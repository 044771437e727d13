/** Implements `execplane exec`: runs a command and connects its streams to those of this process. */
import {
  type Execplane,
  type ExecutionEvent,
  type ExecutionHandle,
  hasEnded,
  type OutageListener,
  RefusedError,
  type StartOptions,
  StdinClosedError,
} from '../../client/main.ts';
import { readAhead } from '../../client/read-ahead.ts';
import { downloadAll } from '../artifacts/download.ts';
import { CliError } from '../cli-error.ts';
import { tell } from '../terminal/failure.ts';
import { isSameFile } from '../streams/descriptor.ts';
import { readStdin, stdinSize } from '../streams/input.ts';
import { ReaderGoneError, writeOutput } from '../streams/output.ts';
import { OutputPrinter } from '../streams/output-printer.ts';
import { printJson } from '../terminal/print.ts';
import { outageOn, StatusLine } from '../terminal/status-line.ts';
import { uploadProgress } from '../terminal/upload-progress.ts';
import { untilReached } from './absent-server.ts';
import { CommandTerminal } from './command-terminal.ts';
import { exitCodeOf, failureExitCode, needsExplaining } from './exit-code.ts';
import { Interruption } from '../terminal/interruption.ts';
import { assertAllKept } from './kept-output.ts';
import { MachineWait } from './machine-wait.ts';

/** Maximum bytes of stdin sent in one request. */
const READ_AHEAD_BYTES = 1_048_576;

export interface ExecRequest {
  machineId: string;
  command: readonly string[];
  options: StartOptions;
  /** Time to wait for an offline machine, ms. */
  waitMs: number;
  /** Print the final Execution instead of the output. */
  json: boolean;
  /** The directory for its artifacts, saved after its end. */
  download?: string;
}

/** Runs a command to its end. Returns the exit code. Prints its own failures. */
export async function runExec(client: Execplane, request: ExecRequest): Promise<number> {
  const interruption = new Interruption();
  try {
    const handle = await client.machine(request.machineId).start(request.command, request.options);
    interruption.arm(() => handle.cancel());
    const end = await new ExecRun(client, handle, request, interruption).untilEnd();
    const execution = await untilReached(() => handle.get());
    if (request.download !== undefined) {
      await downloadAll(client.machine(request.machineId), handle.executionId, request.download);
    }
    if (request.json) printJson(execution);
    else {
      if (needsExplaining(end)) tell(new CliError(end.error_message ?? String(end.error_code)));
      assertAllKept(execution);
    }
    return interruption.exitCode ?? exitCodeOf(end);
  } catch (error) {
    return failureExitCode(error, interruption.exitCode);
  } finally {
    interruption.dispose();
  }
}

/** Starts a command and leaves it running. Returns its execution id. */
export async function startDetached(client: Execplane, { machineId, command, options }: ExecRequest): Promise<string> {
  return (await client.machine(machineId).start(command, options)).executionId;
}

/** One command whose streams are connected to those of this process. */
class ExecRun {
  readonly #handle: ExecutionHandle;
  readonly #request: ExecRequest;
  readonly #wait: MachineWait;
  readonly #line = new StatusLine();
  readonly #printer = new OutputPrinter();
  readonly #interruption: Interruption;
  readonly #ended = new AbortController();
  #terminal: CommandTerminal | undefined;
  /** Settles when this terminal is in raw mode. */
  readonly #terminalReady = Promise.withResolvers<void>();
  /** Causes that end this process before the command has ended. */
  readonly #failure = Promise.withResolvers<never>();

  constructor(client: Execplane, handle: ExecutionHandle, request: ExecRequest, interruption: Interruption) {
    this.#interruption = interruption;
    this.#handle = handle;
    this.#request = request;
    this.#failure.promise.catch(() => {});
    this.#wait = new MachineWait({ client, handle, waitMs: request.waitMs });
  }

  /** Copies the streams until the command ends. Returns the event of the end. */
  async untilEnd(): Promise<ExecutionEvent> {
    try {
      return await Promise.race([this.#follow(), this.#failure.promise, this.#wait.givenUp]);
    } catch (error) {
      // A stream that cannot be read or written must not continue in part.
      if (error instanceof ReaderGoneError || error instanceof CliError) await this.#handle.cancel();
      throw error;
    } finally {
      this.#wait.end();
      this.#terminal?.dispose();
      this.#ended.abort();
      this.#line.clear();
    }
  }

  async #follow(): Promise<ExecutionEvent> {
    const { signal } = this.#ended;
    const copies = this.#request.options.output === 'stream' ? this.#copyOutput() : [];
    // An error of a stream ends the command at once.
    for (const copy of copies) copy.catch(this.#failure.reject);
    for await (const event of this.#handle.events({ outage: this.#outageListener(), signal })) {
      if (event.type !== 'lifecycle') await this.#print(event.type, event.chunk ?? new Uint8Array());
      else if (hasEnded(event)) {
        this.#terminalReady.resolve();
        await Promise.all(copies);
        return event;
      } else if (event.status === 'wake_in_progress') this.#wait.begin();
      else if (event.status === 'queued') this.#wait.queued();
      else this.#wait.end();
      if (event.status === 'running' && this.#request.options.stdin === 'open') this.#takeStdin();
    }
    const { machineId, executionId } = this.#handle;
    throw new CliError('the server sent no more events, although the command has not ended.', {
      hint: `See its state with "execplane executions show ${machineId} ${executionId}".`,
    });
  }

  /** Reports outages on the status line, or at the terminal of the command in its way. */
  #outageListener(): OutageListener {
    const line = outageOn(this.#line);
    return {
      away: (reason) => (this.#terminal ?? line).away(reason),
      back: () => (this.#terminal ?? line).back(),
    };
  }

  /**
   * Copies the output to stdout and stderr. The two streams are copied separately, so that an unread one does not delay the other. They are merged
   * if both go to the same file, because then their order matters.
   */
  #copyOutput(): Promise<void>[] {
    return isSameFile() ? [this.#copyMerged()] : [this.#copy('stdout'), this.#copy('stderr')];
  }

  async #copyMerged(): Promise<void> {
    try {
      const { signal } = this.#ended;
      for await (const { stream, bytes } of this.#handle.merged({ signal })) await this.#print(stream, bytes);
    } catch (error) {
      // A server of an earlier version cannot merge them. It has sent nothing yet.
      if (!(error instanceof RefusedError) || error.status !== 404) throw error;
      await Promise.all([this.#copy('stdout'), this.#copy('stderr')]);
    }
  }

  async #copy(stream: 'stdout' | 'stderr'): Promise<void> {
    for await (const bytes of this.#handle[stream]) await this.#print(stream, bytes);
  }

  async #print(stream: 'stdout' | 'stderr', bytes: Uint8Array): Promise<void> {
    if (this.#request.json) return;
    this.#line.clear();
    // A command on a terminal needs its control characters.
    if (this.#request.options.tty !== undefined) {
      if (this.#request.options.stdin === 'open') await this.#terminalReady.promise;
      this.#terminal?.follow(bytes);
      return writeOutput(stream, bytes);
    }
    await this.#printer.write(stream, bytes);
    if (this.#printer.isTerminal(stream)) this.#line.wrote(bytes);
  }

  #takeStdin(): void {
    const { tty: size } = this.#request.options;
    const failed = this.#failure.reject;
    if (size === undefined) this.#forwardStdin().catch(failed);
    else {
      const left = (): void => this.#interruption.interrupt();
      this.#terminal = new CommandTerminal({ handle: this.#handle, size, left, failed });
      this.#terminalReady.resolve();
    }
  }

  /** Sends stdin as it arrives, then its end. Ends by itself when the command does not read any more. */
  async #forwardStdin(): Promise<void> {
    const { signal } = this.#ended;
    const shown = this.#line.active ? uploadProgress(this.#line, stdinSize()) : undefined;
    const writer = this.#handle.stdin.getWriter();
    signal.addEventListener('abort', () => void writer.abort().catch(() => {}), { once: true });
    let sent = 0;
    try {
      for await (const piece of readAhead(readStdin(signal), READ_AHEAD_BYTES)) {
        await writer.write(piece);
        sent += piece.length;
        shown?.(sent);
      }
      await writer.close();
    } catch (error) {
      if (!signal.aborted && !(error instanceof StdinClosedError)) throw error;
    } finally {
      this.#line.clear();
    }
  }
}
