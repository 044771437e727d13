/** One machine and the commands that run there. */
import type { CreateExecution, ExecutionWire } from '../api/execution.ts';
import type { MachineDetailWire } from '../api/machine.ts';
import type { ExecutionOutputWire } from '../api/output.ts';
import type { TerminalWire } from '../api/terminal.ts';
import { Artifacts } from './artifacts.ts';
import { encodeBase64 } from './base64.ts';
import { ExecutionHandle, executionsPath, MAX_WAIT_MS } from './execution-handle.ts';
import { Files } from './files.ts';
import { List, type PageOptions } from './http/pages.ts';
import { hasEnded, type RunResult, resultOf } from './result.ts';
import { TerminalHandle, type TerminalOptions, terminalsPath } from './terminals/terminal-handle.ts';
import type { Call, RequestOptions, Transport } from './http/transport.ts';
import { EXECUTION, MACHINE_DETAIL, TERMINAL } from './http/shapes.ts';

interface CommandOptions {
  /** Added to the clean environment of the machine's agent. */
  env?: Readonly<Record<string, string>>;
  /** Working directory. Default: the home of the user. */
  cwd?: string;
  /** The command is killed after this time, ms. */
  timeoutMs?: number;
  /** The execution expires unless it has started within this time, ms. */
  startWithinMs?: number;
  /** Runs as this user, if the machine allows it. */
  user?: string;
  /** Runs on a terminal of this size: stdout and stderr are one stream, `stdout`. */
  tty?: { width: number; height: number };
  /** Limits for all of its processes together. On a machine without support for limits it fails with `limits_unsupported`. */
  limits?: NonNullable<CreateExecution['limits']>;
  /** Files below its working directory to keep as artifacts, besides those in its ARTIFACTS_DIR. */
  artifacts?: NonNullable<CreateExecution['artifacts']>;
}

export interface RunOptions extends CommandOptions {
  /** Content of stdin. Default: none. */
  stdin?: string | Uint8Array;
  /** Cancels the command when it aborts. `run` then rejects with the reason. */
  signal?: AbortSignal | undefined;
}

export interface StartOptions extends CommandOptions {
  /** `open` (the default): write to the handle's `stdin`. Else the content of stdin, or `none`. */
  stdin?: 'open' | 'none' | { text: string } | { bytes: Uint8Array };
  /**
   * `keep` (the default): the server keeps the first 16 MiB of each stream, in the events too. `stream`: output of any size, readable
   * only through the handle's `stdout` and `stderr`. Read both: at most 16 MiB of each wait unread, then the command waits.
   */
  output?: 'stream' | 'keep';
  /** Aborting it before `start` settles cancels the command. `start` then rejects with the reason. */
  signal?: AbortSignal | undefined;
}

export interface ListExecutionsOptions extends PageOptions {
  status?: ExecutionWire['status'];
}

type Ended = ExecutionWire & { output?: ExecutionOutputWire };

/** The commands, executions, terminals, files and artifacts of one machine. */
export class MachineClient {
  readonly machineId: string;
  /** Files that its commands left. */
  readonly artifacts: Artifacts;
  /** Its files. */
  readonly files: Files;
  readonly #transport: Transport;

  constructor(transport: Transport, machineId: string) {
    this.#transport = transport;
    this.machineId = machineId;
    this.artifacts = new Artifacts(transport, machineId);
    this.files = new Files(this);
  }

  /** Runs a command to its end. A command that fails is a result; a failure of Execplane is an ExecplaneError. */
  async run(command: readonly string[], options: RunOptions = {}): Promise<RunResult> {
    const { stdin, signal, ...rest } = options;
    const input = stdin === undefined ? {} : stdinOf(typeof stdin === 'string' ? { text: stdin } : { bytes: stdin });
    const body = { ...bodyOf(command, rest), ...input };
    // An abort needs the id to cancel, so with a signal the create request itself does not wait.
    const waitMs = signal === undefined ? MAX_WAIT_MS : 0;
    let execution = await this.#create(body, { query: { wait_ms: waitMs, include: 'output,tail' }, signal });
    const handle = this.execution(execution.execution_id);
    while (!hasEnded(execution)) execution = await this.#wait(handle, signal);
    const output = execution.output ?? (await handle.output());
    return {
      ...resultOf(execution),
      stdout: output.stdout,
      stderr: output.stderr,
      stdoutTruncated: output.stdout_truncated,
      stderrTruncated: output.stderr_truncated,
      ...(output.stdout_tail === undefined ? {} : { stdoutTail: output.stdout_tail }),
      ...(output.stderr_tail === undefined ? {} : { stderrTail: output.stderr_tail }),
    };
  }

  /** Starts a command. Returns a handle on it at once. */
  async start(command: readonly string[], options: StartOptions = {}): Promise<ExecutionHandle> {
    const { stdin = 'open', output = 'keep', signal, ...rest } = options;
    const mode = output === 'stream' ? { output_mode: output } : {};
    const created = await this.#create({ ...bodyOf(command, rest), ...stdinOf(stdin), ...mode }, { signal });
    const isTerminal = rest.tty !== undefined;
    return this.#handle(created.execution_id, { releases: output === 'stream', isTerminal });
  }

  /** Returns a handle on an existing execution. */
  execution(executionId: string): ExecutionHandle {
    return this.#handle(executionId, { releases: false, isTerminal: false });
  }

  /** Lists its executions, newest first. */
  executions({ status, ...page }: ListExecutionsOptions = {}): List<ExecutionWire> {
    return new List(this.#transport, {
      path: executionsPath(this.machineId),
      item: EXECUTION,
      query: { status },
      options: page,
    });
  }

  /** Opens a terminal: a shell that outlives every connection to it. With an id, returns a handle on an existing terminal. */
  terminal(terminalId: string): TerminalHandle;
  terminal(options: TerminalOptions): Promise<TerminalHandle>;
  terminal(idOrOptions: string | TerminalOptions): TerminalHandle | Promise<TerminalHandle> {
    if (typeof idOrOptions === 'string') return new TerminalHandle(this.#transport, this.machineId, idOrOptions);
    return TerminalHandle.open(this.#transport, this.machineId, idOrOptions);
  }

  /** Lists its terminals, newest first: those that run, and those that ended within 24 hours. */
  terminals(page: PageOptions = {}): List<TerminalWire> {
    return new List(this.#transport, { path: terminalsPath(this.machineId), item: TERMINAL, options: page });
  }

  /** Returns the machine. */
  get({ signal }: RequestOptions = {}): Promise<MachineDetailWire> {
    return this.#transport.json('GET', `/v1/machines/${encodeURIComponent(this.machineId)}`, MACHINE_DETAIL, {
      signal,
    });
  }

  #handle(executionId: string, mode: { releases: boolean; isTerminal: boolean }): ExecutionHandle {
    return new ExecutionHandle(this.#transport, { machineId: this.machineId, executionId, ...mode });
  }

  /**
   * Creates an execution. When `signal` aborts it rejects at once. The request goes on, because only its answer has the id by which the
   * execution can be cancelled.
   */
  async #create(body: CreateExecution, { signal, query }: Pick<Call, 'signal' | 'query'>): Promise<ExecutionWire> {
    signal?.throwIfAborted();
    const creating = this.#transport.json('POST', executionsPath(this.machineId), EXECUTION, { body, query });
    if (signal === undefined) return creating;
    let abort = (): void => {};
    const aborted = new Promise<never>((_, reject) => {
      abort = () => reject(signal.reason);
      signal.addEventListener('abort', abort, { once: true });
    });
    try {
      return await Promise.race([creating, aborted]);
    } catch (error) {
      if (signal.aborted) creating.then(({ execution_id: id }) => this.execution(id).cancel()).catch(() => {});
      throw error;
    } finally {
      signal.removeEventListener('abort', abort);
    }
  }

  async #wait(handle: ExecutionHandle, signal: AbortSignal | undefined): Promise<Ended> {
    try {
      return await handle.get({ waitMs: MAX_WAIT_MS, signal });
    } catch (error) {
      if (signal?.aborted) await handle.cancel();
      throw error;
    }
  }
}

function bodyOf(command: readonly string[], options: CommandOptions): CreateExecution {
  const { env, cwd, timeoutMs, startWithinMs, user, tty, limits, artifacts } = options;
  return {
    command: [...command],
    ...(env === undefined ? {} : { env: { ...env } }),
    ...(cwd === undefined ? {} : { cwd }),
    ...(timeoutMs === undefined ? {} : { timeout_ms: timeoutMs }),
    ...(startWithinMs === undefined ? {} : { start_within_ms: startWithinMs }),
    ...(user === undefined ? {} : { user }),
    ...(tty === undefined ? {} : { tty }),
    ...(limits === undefined ? {} : { limits }),
    ...(artifacts === undefined ? {} : { artifacts }),
  };
}

function stdinOf(stdin: NonNullable<StartOptions['stdin']>): Partial<CreateExecution> {
  if (stdin === 'open') return { stdin_open: true };
  if (stdin === 'none') return {};
  if ('text' in stdin) return { stdin: stdin.text };
  return { stdin: encodeBase64(stdin.bytes), stdin_encoding: 'base64' };
}
