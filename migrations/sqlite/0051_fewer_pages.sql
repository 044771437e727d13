-- A commit costs what it writes to the log: a page for each table and each index that it touches (bench/counts). So a create and the
-- steps of an execution touch as few as can be.

-- Keys rise by themselves; AUTOINCREMENT writes the last one down once more, in a table of SQLite's own. Those of executions are never
-- given out again even where the newest one was deleted: `highest_deleted`. Audit entries are never deleted.
CREATE TABLE execution_keys (highest_deleted INTEGER NOT NULL) STRICT;
INSERT INTO execution_keys SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'executions';
PRAGMA writable_schema = ON;
UPDATE sqlite_schema SET sql = replace(sql, ' AUTOINCREMENT', '') WHERE type = 'table' AND name IN ('executions', 'audit');
PRAGMA writable_schema = RESET;
DELETE FROM sqlite_sequence WHERE name IN ('executions', 'audit');

-- Of a machine: what is alive (in the order of its dispatch; what waits has no number, and stands in the order of its keys), and what
-- has ended, by how. An execution moves from the one to the other, once.
DROP INDEX executions_by_machine;
DROP INDEX executions_by_status;
DROP INDEX executions_dispatched;
CREATE INDEX executions_alive ON executions (machine, dispatch_number) WHERE completed_at IS NULL;
CREATE INDEX executions_ended ON executions (machine, status) WHERE completed_at IS NOT NULL;

-- The first event of an execution is written with the second one: until then its row says all of it.
