/** What a restore from a backup makes of an execution that waited when the backup was made. */
import { type ExecutionChange, ExecutionDraft, type ExecutionRecord } from './execution-draft.ts';

const ABANDONED =
  'It waited when the backup was made from which the database was restored; whether it has run since cannot be known.';
/** Nothing that an agent could call itself. */
const NOBODY = 'restored';

/**
 * Ends it as agent_lost: it may have run after the backup was made, and nothing is ever run twice. By the same steps as if it had
 * been handed to an agent that never came back, so that its log is one that could have come about.
 */
export function abandonWaiting(record: ExecutionRecord, now: number): ExecutionChange {
  const draft = new ExecutionDraft(record);
  draft.apply({ type: 'machine_connected' }, now);
  draft.apply({ type: 'dispatched', runnerInstance: NOBODY }, now);
  draft.apply({ type: 'agent_lost', reason: ABANDONED }, now);
  return draft.change();
}
