-- Ended terminals whose contents are to be deleted. The index of completed_at holds every finished execution.
CREATE INDEX executions_terminal_contents ON executions (completed_at) WHERE is_terminal = 1 AND stdout_released < stdout_kept;
