/** Decides on a waiting execution if the database may have lost that it was dispatched. */
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
 * Ends it as agent_lost: it may have run, and nothing is ever run twice. It goes through the same steps as if it had been given to an
 * agent that never reconnected, so that its log is a possible one.
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
