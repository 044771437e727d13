/** The parts of the control plane that terminals use. */
import type { TerminalSize } from '../../../core/launch-options.ts';
import type { CancelOutcome, Execution } from '../../../store/store.ts';
import type { Sent } from '../commands/machine-commands.ts';
import type { StdinOutcome, StdinRequest } from '../commands/stdin.ts';
import type { OutputReaders } from '../commands/streamed-output.ts';
import type { Listener } from '../live/live.ts';

export interface TerminalCommands {
  /**
   * Sends a piece of live stdin. Settles when the runner has acknowledged it. `offset`: position of its first byte (absent: after all earlier
   * bytes). `offset` in the answer: bytes of stdin that the runner has acknowledged so far.
   */
  writeStdin(request: StdinRequest): Promise<StdinOutcome>;
  /** Sets the size of a terminal. `not_running`: it still waits; `stale`: it has ended. */
  resize(p: { execution: Execution; size: TerminalSize }): Promise<Sent | 'stale' | 'not_running'>;
  /** Calls `listener` after each commit that changes the execution. Returns the unsubscription. The callers limit their number. */
  subscribe(executionId: string, listener: Listener): () => void;
  /** Cancels an execution. `by`: API key id, or `admin`. */
  cancel(p: { machineId: string; executionId: string; by: string }): Promise<CancelOutcome>;
  /** The readers of output in stream mode. */
  readonly output: Pick<OutputReaders, 'release'>;
}
