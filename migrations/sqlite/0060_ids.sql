-- Columns under the names of the PostgreSQL schema: `id` is the key of a row, `public_id` the id that callers know. A column that refers
-- to a row is named for its table: `machine_id` has the key of a machine, `machine_public_id` its public id.
ALTER TABLE machines RENAME COLUMN machine TO id;
ALTER TABLE machines RENAME COLUMN machine_id TO public_id;
ALTER TABLE machine_labels RENAME COLUMN machine TO machine_id;
ALTER TABLE machine_operations RENAME COLUMN machine TO machine_id;

ALTER TABLE executions RENAME COLUMN execution TO id;
ALTER TABLE executions RENAME COLUMN execution_id TO public_id;
ALTER TABLE executions RENAME COLUMN machine TO machine_id;
ALTER TABLE requests RENAME COLUMN execution TO execution_id;
ALTER TABLE sealed_inputs RENAME COLUMN execution TO execution_id;
ALTER TABLE events RENAME COLUMN execution TO execution_id;
ALTER TABLE events RENAME COLUMN chunk TO chunk_id;
ALTER TABLE chunks RENAME COLUMN chunk TO id;
ALTER TABLE stream_chunks RENAME COLUMN chunk TO id;
ALTER TABLE stream_chunks RENAME COLUMN execution TO execution_id;
ALTER TABLE output_tails RENAME COLUMN execution TO execution_id;
ALTER TABLE pending_purge RENAME COLUMN execution TO execution_id;
ALTER TABLE callbacks RENAME COLUMN callback TO id;
ALTER TABLE callbacks RENAME COLUMN execution TO execution_id;

ALTER TABLE artifacts RENAME COLUMN artifact TO id;
ALTER TABLE artifacts RENAME COLUMN artifact_id TO public_id;
ALTER TABLE artifacts RENAME COLUMN machine TO machine_id;
ALTER TABLE artifacts RENAME COLUMN execution_id TO execution_public_id;
ALTER TABLE artifact_pieces RENAME COLUMN artifact TO artifact_id;
ALTER TABLE artifact_purge RENAME COLUMN artifact TO artifact_id;

ALTER TABLE batches RENAME COLUMN batch TO id;
ALTER TABLE batches RENAME COLUMN batch_id TO public_id;
ALTER TABLE batch_members RENAME COLUMN batch TO batch_id;
ALTER TABLE batch_members RENAME COLUMN machine TO machine_id;
ALTER TABLE batch_members RENAME COLUMN execution TO execution_id;

ALTER TABLE api_keys RENAME COLUMN api_key TO id;
ALTER TABLE api_keys RENAME COLUMN api_key_id TO public_id;
ALTER TABLE idempotency RENAME COLUMN api_key_id TO api_key;
ALTER TABLE join_tokens RENAME COLUMN join_token TO id;
ALTER TABLE join_tokens RENAME COLUMN join_token_id TO public_id;
ALTER TABLE join_tokens RENAME COLUMN machine_id TO machine_public_id;
ALTER TABLE audit RENAME COLUMN audit TO id;
ALTER TABLE audit RENAME COLUMN machine_id TO machine_public_id;
