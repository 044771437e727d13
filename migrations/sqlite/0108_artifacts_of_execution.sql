-- For the artifacts of one execution: its machine may have many others.
CREATE INDEX artifacts_of_execution ON artifacts (execution_public_id, id) WHERE sha256 IS NOT NULL AND deleted_at IS NULL;
