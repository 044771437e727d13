/** One terminal: a shell that outlives every connection to it. */
import type { TerminalWire } from '../../api/terminal.ts';
import { pause } from '../http/backoff.ts';
import { ExecplaneError } from '../http/errors.ts';
import type { RequestOptions, Transport } from '../http/transport.ts';
import { type AttachOptions, type TerminalSize, TerminalStream } from './terminal-stream.ts';
import { TERMINAL } from '../http/shapes.ts';

export interface TerminalOptions extends TerminalSize, RequestOptions {
  /** The program to run. Default: the login shell of the user. */
  shell?: string;
  /** Directory in which the shell starts. Default: the home of the user. */
  cwd?: string;
  /** Added to the clean environment of the machine's agent. */
  env?: Readonly<Record<string, string>>;
  /** Runs as this user, if the machine allows it. */
  user?: string;
}

/** The terminal could not be started. */
export class TerminalError extends ExecplaneError {
  override readonly name = 'TerminalError';
  readonly terminal: TerminalWire;

  constructor(terminal: TerminalWire) {
    super(terminal.error_message ?? `the terminal is ${terminal.status}`);
    this.terminal = terminal;
  }
}

/** First interval of polls, ms. It is short, because a shell on a connected machine starts within milliseconds. */
const FIRST_POLL_MS = 25;
const MAX_POLL_MS = 1000;

/** A handle on one terminal. Its methods send requests; `attach` connects to it. */
export class TerminalHandle {
  readonly machineId: string;
  readonly terminalId: string;
  readonly #transport: Transport;
  readonly #path: string;

  constructor(transport: Transport, machineId: string, terminalId: string) {
    this.machineId = machineId;
    this.terminalId = terminalId;
    this.#transport = transport;
    this.#path = `${terminalsPath(machineId)}/${encodeURIComponent(terminalId)}`;
  }

  static async open(transport: Transport, machineId: string, options: TerminalOptions): Promise<TerminalHandle> {
    const { signal, ...body } = options;
    const created = await transport.json('POST', terminalsPath(machineId), TERMINAL, { body, signal });
    return new TerminalHandle(transport, machineId, created.terminal_id);
  }

  /** Returns the terminal. `include`: more fields in the answer. */
  get({ include, signal }: RequestOptions & { include?: readonly 'reason'[] } = {}): Promise<TerminalWire> {
    return this.#transport.json('GET', this.#path, TERMINAL, { query: { include: include?.join(',') }, signal });
  }

  /** Settles when its shell has started, without a time limit. Throws TerminalError if it could not be started. */
  async ready({ signal }: RequestOptions = {}): Promise<TerminalWire> {
    for (let waitMs = FIRST_POLL_MS; ; waitMs = Math.min(waitMs * 2, MAX_POLL_MS)) {
      const terminal = await this.get({ signal });
      if (terminal.status === 'failed' || terminal.status === 'expired') throw new TerminalError(terminal);
      if (terminal.status !== 'wake_in_progress') return terminal;
      await pause(waitMs, signal);
    }
  }

  /** Connects to the terminal. Output begins with the scrollback, or at `offset`. */
  attach(options: AttachOptions = {}): TerminalStream {
    return new TerminalStream(this.#transport, this.#path, options);
  }

  /** Ends the shell: SIGHUP, then SIGKILL to all of its processes after a grace period. Does nothing after the end. */
  close({ signal }: RequestOptions = {}): Promise<TerminalWire> {
    return this.#transport.json('DELETE', this.#path, TERMINAL, { signal });
  }
}

/** Path of the terminals of a machine in the API. */
export function terminalsPath(machineId: string): string {
  return `/v1/machines/${encodeURIComponent(machineId)}/terminals`;
}
