-- Lists over all machines, without an index that each execution would have to write.

-- The key of the newest execution, or of a deleted one: no later one exists. A create writes the row of its machine anyway.
ALTER TABLE machines ADD COLUMN newest_execution INTEGER;
UPDATE machines SET newest_execution = (
  SELECT max(id) FROM (
    SELECT max(e.id) AS id FROM executions e WHERE e.machine_id = machines.id AND e.completed_at IS NULL
    UNION ALL SELECT max(e.id) FROM executions e WHERE e.machine_id = machines.id AND e.completed_at IS NOT NULL));

-- Spans of 64 keys in which an execution has succeeded, by their first key / 64. Most executions succeed, so that few of them write a row.
CREATE TABLE succeeded_spans (span INTEGER PRIMARY KEY) STRICT;
INSERT INTO succeeded_spans SELECT DISTINCT id / 64 FROM executions WHERE status = 'succeeded' ORDER BY 1;
