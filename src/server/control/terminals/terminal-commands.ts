/** The parts of the control plane that terminals use. */
import type { TerminalSize } from '../../../core/launch-options.ts';
import type { CancelOutcome, Execution, ReleaseOutcome } from '../../../store/store.ts';
import type { StdinOutcome, StdinRequest } from '../commands/stdin.ts';
import type { Listener } from '../live/live.ts';

export interface TerminalCommands {
  writeStdin(request: StdinRequest): Promise<StdinOutcome>;
  resize(p: { execution: Execution; size: TerminalSize }): Promise<'sent' | 'stale' | 'not_running' | 'agent_away'>;
  subscribe(executionId: string, listener: Listener): () => void;
  cancel(p: { machineId: string; executionId: string; by: string }): Promise<CancelOutcome>;
  releaseOutput(p: {
    machineId: string;
    executionId: string;
    stream: 'stdout' | 'stderr';
    offset: number;
  }): Promise<ReleaseOutcome>;
}
