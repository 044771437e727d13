-- A create that waits writes one page less: no index has the time of each waiting execution.

-- No waiting execution of the machine expires before. It may be earlier than the first that does.
ALTER TABLE machines ADD COLUMN next_expiry INTEGER;
UPDATE machines SET next_expiry = (SELECT min(expires_at) FROM executions
  WHERE machine_id = machines.id AND dispatched_to IS NULL AND completed_at IS NULL);
CREATE INDEX machines_by_expiry ON machines (next_expiry) WHERE next_expiry IS NOT NULL;
DROP INDEX executions_waiting;

-- Each step of an execution that is alive writes its entry anyway: it holds what counts and the search for due ones read.
DROP INDEX executions_alive;
CREATE INDEX executions_alive ON executions (machine_id, dispatch_number, id, status, created_at, expires_at)
  WHERE completed_at IS NULL;
