/** What becomes of an execution that waits by a database that may have lost that it was dispatched. */
import { type ExecutionChange, ExecutionDraft, type ExecutionRecord } from './execution-draft.ts';

const ABANDONED = {
  restored:
    'It waited when the backup was made from which the database was restored; whether it has run since cannot be known.',
  commits_lost: 'The database lost commits while it waited; whether it had been started by then cannot be known.',
};
/** Nothing that an agent could call itself. */
const NOBODY = 'restored';

/**
 * Ends it as agent_lost: it may have run, and nothing is ever run twice. By the same steps as if it had been handed to an agent that
 * never came back, so that its log is one that could have come about.
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
