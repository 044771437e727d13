import type { EndedPayload } from '../../core/report.ts';
import { failure } from './executions/outcome.ts';
import type { ExecutionLog } from './journal/execution-log.ts';
import type { Journal } from './journal/journal.ts';
import { killMarked } from './spawner/process-tree.ts';

const RUNNER_DIED = 'The runner on the machine died: what became of the command cannot be known.';
const REBOOTED = 'The machine was restarted while the command was on it.';

/**
 * Ends what the last runner left without an end: what remains of it on the machine is killed, then it is reported as lost
 * with what had been read of it. Calls `reported` after each, and settles when nothing of any of it is left.
 */
export async function recover(journal: Journal, bootId: string, reported: () => void): Promise<void> {
  const unended = [...journal.logs.values()].filter((log) => !log.ended && !log.settled);
  await Promise.all(unended.map((log) => end(journal, log, bootId).then(reported)));
}

async function end(journal: Journal, log: ExecutionLog, bootId: string): Promise<void> {
  const rebooted = log.process !== undefined && log.process.bootId !== bootId;
  // After a reboot nothing of it can be left, and its pid is somebody else's. Where the process table can't be read, that
  // is no reason to keep the end back: it says that nothing is known.
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
