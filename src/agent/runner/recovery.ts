import type { EndedPayload } from '../../core/report.ts';
import { failure } from './executions/outcome.ts';
import type { ExecutionLog } from './journal/execution-log.ts';
import type { Journal } from './journal/journal.ts';
import { killMarked } from './spawner/process-tree.ts';

const RUNNER_DIED = 'The runner on the machine died: the outcome of the command cannot be known.';
const REBOOTED = 'The machine was restarted while it had the command.';

/**
 * Ends the executions that the last runner left without an end: kills their remaining processes, then reports them as lost, with the
 * output that had been read. Calls `reported` after each, and settles when no process of any is left.
 */
export async function recover(journal: Journal, bootId: string, reported: () => void): Promise<void> {
  const unended = [...journal.logs.values()].filter((log) => !log.ended && !log.forgotten);
  await Promise.all(unended.map((log) => end(journal, log, bootId).then(reported)));
}

async function end(journal: Journal, log: ExecutionLog, bootId: string): Promise<void> {
  const rebooted = log.process !== undefined && log.process.bootId !== bootId;
  // After a reboot no process of it can be left, and its pid may belong to another process. If the process table cannot be read, the end is
  // reported anyway, as an unknown outcome.
  if (!rebooted) await killMarked(log.executionId, log.process).catch(() => {});
  const { stdout_bytes, stderr_bytes, stdout_kept, stderr_kept } = log.tally;
  const ended: EndedPayload = {
    ...failure('agent_lost', rebooted ? REBOOTED : RUNNER_DIED),
    stdout_bytes,
    stderr_bytes,
    stdout_truncated: stdout_bytes > stdout_kept,
    stderr_truncated: stderr_bytes > stderr_kept,
  };
  journal.report(log, 'ended', Buffer.from(JSON.stringify(ended)));
}
