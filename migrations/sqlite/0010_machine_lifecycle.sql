-- Machines that a provider creates, wakes, puts to sleep and deletes. The phase has more values now: its column is made anew,
-- since a CHECK cannot be changed.
DROP INDEX machines_away;
ALTER TABLE machines ADD COLUMN present_phase TEXT NOT NULL DEFAULT 'placement_pending' CHECK (present_phase IN
  ('accepted', 'placement_pending', 'starting', 'running', 'stopping', 'sleeping', 'destroying', 'destroyed', 'failed'));
ALTER TABLE machines ADD COLUMN reason TEXT NOT NULL DEFAULT 'never_joined';
ALTER TABLE machines ADD COLUMN desired_state TEXT NOT NULL DEFAULT 'running'
  CHECK (desired_state IN ('running', 'sleeping', 'destroyed'));
ALTER TABLE machines ADD COLUMN agent TEXT NOT NULL DEFAULT 'never_joined'
  CHECK (agent IN ('never_joined', 'connected', 'away'));
UPDATE machines SET
  present_phase = phase,
  reason = CASE phase WHEN 'running' THEN 'agent_connected' WHEN 'sleeping' THEN 'agent_away'
    WHEN 'destroyed' THEN 'removed' ELSE 'never_joined' END,
  desired_state = CASE phase WHEN 'destroyed' THEN 'destroyed' ELSE 'running' END,
  agent = CASE WHEN phase = 'running' THEN 'connected' WHEN runner_instance IS NULL THEN 'never_joined' ELSE 'away' END;
ALTER TABLE machines DROP COLUMN phase;
ALTER TABLE machines RENAME COLUMN present_phase TO phase;

ALTER TABLE machines ADD COLUMN autosleep_seconds INTEGER NOT NULL DEFAULT 0;
ALTER TABLE machines ADD COLUMN provider TEXT;
ALTER TABLE machines ADD COLUMN provider_ref TEXT;
-- JSON: what the create passed on to the provider.
ALTER TABLE machines ADD COLUMN attributes TEXT;
ALTER TABLE machines ADD COLUMN provider_state TEXT NOT NULL DEFAULT 'absent'
  CHECK (provider_state IN ('absent', 'unknown', 'pending', 'running', 'stopped'));
ALTER TABLE machines ADD COLUMN last_operation INTEGER NOT NULL DEFAULT 0;
ALTER TABLE machines ADD COLUMN last_error TEXT;
ALTER TABLE machines ADD COLUMN failed_for_good INTEGER NOT NULL DEFAULT 0;
ALTER TABLE machines ADD COLUMN resizing INTEGER NOT NULL DEFAULT 0;
ALTER TABLE machines ADD COLUMN sleep_reason TEXT;
-- When a machine that is being created or woken should be there.
ALTER TABLE machines ADD COLUMN expected_at INTEGER;

CREATE INDEX machines_away ON machines (away_since) WHERE away_since IS NOT NULL;
CREATE INDEX machines_by_provider ON machines (provider) WHERE provider IS NOT NULL AND phase <> 'destroyed';

-- What a provider is to do with a machine, or does now: written before its hook runs. One a machine.
CREATE TABLE machine_operations (
  machine INTEGER PRIMARY KEY REFERENCES machines,
  number INTEGER NOT NULL,
  name TEXT NOT NULL CHECK (name IN ('create', 'delete', 'wake', 'sleep', 'resize', 'describe')),
  attempt INTEGER NOT NULL,
  running INTEGER NOT NULL,
  due_at INTEGER NOT NULL
) STRICT;
CREATE INDEX machine_operations_due ON machine_operations (due_at) WHERE running = 0;
CREATE INDEX machine_operations_running ON machine_operations (running) WHERE running = 1;
CREATE INDEX machines_connected ON machines (agent) WHERE agent = 'connected';
