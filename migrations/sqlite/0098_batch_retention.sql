-- Batches that are over go with retention: the longest ended first, in small steps. Their counts are kept on the batch from its end on, so
-- that a list counts no machines, and shows a batch whole while its machines are deleted. NULL on an ended batch: it is older than this.
ALTER TABLE batches ADD COLUMN counts TEXT;
CREATE INDEX batches_ended ON batches (completed_at, id) WHERE completed_at IS NOT NULL;
-- For the lists of a key that is limited to some machines, which sees its own.
CREATE INDEX batches_by_creator ON batches (created_by, id);
