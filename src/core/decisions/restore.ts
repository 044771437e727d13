/** Ends waiting executions if the database may have lost the record of their dispatch. */
import { type ExecutionChange, ExecutionDraft, type ExecutionRecord } from './execution-draft.ts';

const ABANDONED = {
  restored:
    'The database was restored from a backup in which the execution was waiting: whether it has run since cannot be known.',
  commits_lost:
    'The database lost commits while the execution was waiting: whether it was started by then cannot be known.',
};
/** A name that no agent can have. */
const NOBODY = 'restored';

/**
 * Ends a waiting execution as agent_lost: it may have run, and no execution runs twice. It passes through the transitions of an execution
 * whose agent never reconnected, so that its log is a legal one.
 */
export function abandonWaiting(
  record: ExecutionRecord,
  p: { cause: keyof typeof ABANDONED; now: number },
): ExecutionChange {
  const { cause, now } = p;
  const draft = new ExecutionDraft(record);
  draft.apply({ type: 'machine_connected' }, now);
  draft.apply({ type: 'dispatched', runnerInstance: NOBODY }, now);
  draft.apply({ type: 'agent_lost', reason: ABANDONED[cause] }, now);
  return draft.change();
}
