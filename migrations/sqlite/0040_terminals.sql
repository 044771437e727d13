-- How a command is run beyond its argv, as JSON: {"tty": {"width", "height"}, "limits": {"memory_bytes", "cpus", "pids"}}.
ALTER TABLE requests ADD COLUMN launch TEXT;
-- What the processes of the command used, as JSON; once its agent has told.
ALTER TABLE executions ADD COLUMN usage TEXT;
-- 1: it is a terminal, which the lists of executions do not show.
ALTER TABLE executions ADD COLUMN is_terminal INTEGER NOT NULL DEFAULT 0;
CREATE INDEX executions_terminals ON executions (machine, execution) WHERE is_terminal = 1;
