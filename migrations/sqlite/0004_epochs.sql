-- Rises with each connection of a machine: marks, disconnects and losses name theirs, and change nothing under an earlier one.
ALTER TABLE machines ADD COLUMN epoch INTEGER NOT NULL DEFAULT 0;

-- A command that ran out of time ends as `expired`, and so does one that was not started in time: each has a code of its own now.
UPDATE executions SET status = 'expired', error_code = 'execution_timed_out' WHERE error_code = 'timeout';
UPDATE executions SET error_code = 'start_timed_out' WHERE error_code = 'expired';
UPDATE events SET status = 'expired', error_code = 'execution_timed_out' WHERE error_code = 'timeout';
UPDATE events SET error_code = 'start_timed_out' WHERE error_code = 'expired';
