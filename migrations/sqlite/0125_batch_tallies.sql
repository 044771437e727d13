-- A step of a batch reads the machines that have changed and those that come next, and none of the others.

-- JSON: the number of its machines by state. NULL: an older version created the batch.
ALTER TABLE batches ADD COLUMN tally TEXT;
CREATE INDEX batch_members_unfinished ON batch_members (batch_id, execution_id) WHERE outcome IS NULL AND execution_id IS NOT NULL;
CREATE INDEX batch_members_pending ON batch_members (batch_id, position) WHERE outcome IS NULL AND execution_id IS NULL;
DROP INDEX batch_members_open;
