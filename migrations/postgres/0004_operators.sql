-- readable_by: 2
-- The server whose hook is at work: when that is taken for dead, another one runs it again. What was at work before is taken up anew.
ALTER TABLE machine_operations ADD COLUMN replica_id bigint;
UPDATE machine_operations SET running = false WHERE running;
